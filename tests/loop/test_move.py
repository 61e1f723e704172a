"""One application goes from GitHub to GitLab: one command renders, doctor is clean, the loop says the same."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from conftest import commit, git, gitml, write
from forges.fixtures import standin
from forges.gitlab_standin import Standin
from gitml.forges.base import NewPull, OnPull, State
from loop.city_kit import BRANCHES, PATIENCE, City
from loop.gitlab_kit import Project, is_there, new_project

__all__ = ["standin"]
pytestmark = [
    pytest.mark.gitlab,
    pytest.mark.nightly,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not is_there(), reason="make test-gitlab"),
]
WHEEL = "gitml @ https://packages.example.org/gitml-0.1.0-py3-none-any.whl"
FASTER = {"params.yaml": "rate: 0.7\n"}


@dataclass
class Story:
    """What people saw, in order: texts of pull requests and comments. ``commits`` are all of that repository."""

    commits: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def plain(self, name: str) -> str:
        """A text without what is another thing elsewhere: links, commits, moments, how long something took."""
        text = re.sub(r"<!--.*?-->", "", self.seen[name], flags=re.S)
        text = re.sub(r"\]\([^)]*\)", "]()", text)
        text = re.sub(r"\b[0-9a-f]{7,64}\b", lambda m: "COMMIT" if self._is_commit(m[0]) else m[0], text)
        text = re.sub(r"\d{4}-?\d\d-?\d\dT[\d:\u200b]+Z", "TIME", text)
        text = re.sub(r"\d+ (second|minute)s? old", "AGE", text)
        return re.sub(r"latency_ms_p95` [\d.]+|[\d.,]+ (ms|s|min)\b", "TOOK", text)

    def _is_commit(self, word: str) -> bool:
        return any(name.startswith(word) for name in self.commits)


def on_github(city: City) -> Story:
    loop, story = city.loop, Story()

    def keep(name: str, number: int) -> None:
        story.seen[name] = "\n---\n".join(one["body"] for one in loop.comments(number))

    pushed = loop.change(FASTER, branch="faster")
    training = loop.pull("faster", title="Faster")
    loop.until(lambda: loop.tip("faster") != pushed and loop.status(loop.tip("faster")), PATIENCE)
    loop.settled()
    city.approve(training, "olga")
    city.until_gate(loop.tip("faster"), "success")
    loop.settled()
    keep("training", training)
    loop.merge(training)
    (pull,) = loop.until(lambda: [p for p in city.api("GET", "/pulls") if BRANCHES in p["head"]["ref"]], PATIENCE)
    number, head = pull["number"], pull["head"]["sha"]
    city.until_gate(head, "pending")
    loop.settled()
    story.seen["promotion"] = f"{pull['title']}\n{pull['body']}"
    keep("shut", number)
    for login in ("olga", "rita"):
        city.approve(number, login)
        loop.settled()
    city.until_gate(head, "success")
    loop.settled()
    keep("open", number)
    folder = loop.fresh(loop.clone.parent / "github", "main")
    story.commits = git(folder, "rev-list", "--all").split()
    return story


def on_gitlab(project: Project, app: Path) -> Story:
    story, home = Story(), project.home

    def keep(name: str, number: int) -> None:
        with home.as_() as hub:
            story.seen[name] = "\n---\n".join(one.body for one in hub.comments.list(OnPull(number)))

    git(app, "checkout", "-q", "-b", "faster")
    write(app, FASTER)
    commit(app, "change")
    git(app, "push", "-q", project.remote("ada"), "faster")
    with home.as_("ada") as hub:
        training = hub.pulls.open(NewPull("Faster", "faster", "main")).number
    project.pipeline("faster", "push")
    project.pipeline("main", "schedule", "gitml report")
    home.review("olga", training)
    project.pipeline("main", "trigger")
    keep("training", training)
    with home.as_() as hub:
        hub.merges.merge(training, hub.pulls.get(training).head.commit)
    project.pipeline("main", "push")
    with home.as_() as hub:
        (promotion,) = hub.merges.under("gitml/promote/")
    story.seen["promotion"] = f"{promotion.title}\n{promotion.body}"
    keep("shut", promotion.number)
    for login in ("olga", "rita"):
        home.review(login, promotion.number)
    project.pipeline("main", "schedule", "gitml gate")
    keep("open", promotion.number)
    with home.as_() as hub:
        statuses = {s.context: s.state for s in hub.commits.statuses(promotion.head.commit)}
    assert statuses["gitml/gate"] is State.SUCCESS, project.log
    story.commits = git(project.fresh("main"), "rev-list", "--all").split()
    return story


def moved(city: City, folder: Path, standin: Standin) -> tuple[Project, Path]:
    """The application as GitHub has it, on GitLab: one command, one commit, doctor."""
    app = city.loop.fresh(folder / "app", "main")
    system = app / "gitml.yaml"
    system.write_text(system.read_text().replace("ci: {forks: false}", f"ci: {{system: gitlab, gitml: '{WHEEL}'}}"))
    rendered = gitml(app, "ci", "render")
    assert rendered.code == 0, rendered.err
    git(app, "rm", "-q", "-r", ".github/workflows")
    commit(app, "to GitLab")
    assert gitml(app, "ci", "check").code == 0
    project = new_project(app, folder, standin, city.key)
    # Of commits here, and of those that came along.
    project.home.forge.account("ada", emails=["ada@example.com", "ada@example.org"])
    for scope, names in project.secrets.items():
        for name in names:
            said = {"key": name, "environment_scope": scope, "protected": True, "masked": True, "hidden": True}
            project.world.variables.append(said)
    git(app, "remote", "set-url", "origin", f"{standin.url}/{project.home.repository}.git")
    env = {"GITML_FORGE": "gitlab", "GITLAB_TOKEN": project.home.settings().token}
    gitml(app, "doctor", "--fix", env=env)
    points = json.loads(gitml(app, "doctor", "--json", env=env).out)
    assert [p for p in points if p["mark"] == "missing"] == []
    return project, app


def test_the_same_application_says_the_same_on_gitlab(city: City, standin: Standin, tmp_path: Path) -> None:
    place = tmp_path / "gitlab"
    place.mkdir()
    project, app = moved(city, place, standin)
    here, there = on_github(city), on_gitlab(project, app)
    (tmp_path / "said.json").write_text(json.dumps([asdict(here), asdict(there)]))
    assert "accuracy" in here.seen["training"]
    assert "approvals" in here.seen["shut"]
    for name in here.seen:
        assert there.plain(name) == here.plain(name), name
