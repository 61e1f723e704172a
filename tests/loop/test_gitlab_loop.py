"""GitLab's pipelines end to end: push, training, note; gate; promotion; all by gitlab-ci-local, Git and HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import commit, dvc, git, gitml, write
from forges.fixtures import standin
from forges.gitlab_standin import Standin
from gitml.evidence.keys import generate
from gitml.evidence.trust import Believed, believe
from gitml.forges.base import NewPull, OnPull, State
from gitml.forges.governed import GovernedForge
from gitml.git import ledger
from gitml.spec.policy import parse_policy
from loop.city_kit import APPLICATION, PIPELINE, POLICY, PURPOSES, TRAIN
from loop.gitlab_kit import Project, is_there, new_project

__all__ = ["standin"]
pytestmark = [
    pytest.mark.gitlab,
    pytest.mark.nightly,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not is_there(), reason="make test-gitlab"),
]


@pytest.fixture
def project(tmp_path: Path, standin: Standin) -> Project:
    """An application whose promotions need a signed gate, on a project with a guarded main; main is trained."""
    app = tmp_path / "app"
    key, public = generate()
    policy = POLICY.format(public=public, purposes=PURPOSES)
    yaml = APPLICATION.replace("ci: {forks: false}", "ci: {system: gitlab}")
    write(
        app,
        {
            "gitml.yaml": yaml,
            "dvc.yaml": PIPELINE,
            "params.yaml": "rate: 0.6\n",
            "train.py": TRAIN,
            "policy.yaml": policy,
        },
    )
    git(app, "init", "-q", "-b", "main")
    dvc(app, "init")
    dvc(app, "remote", "add", "-d", "r", str(tmp_path / "remote"))
    commit(app, "start")
    assert gitml(app, "train").code == 0
    assert gitml(app, "ci", "render").code == 0
    commit(app, "trained and rendered")
    dvc(app, "push")
    return new_project(app, tmp_path, standin, key)


def test_from_a_push_to_a_note(project: Project, tmp_path: Path) -> None:
    app = tmp_path / "app"
    git(app, "checkout", "-q", "-b", "faster")
    # What a branch has is never executed where the bot's token is.
    hostile = "import pathlib, os; pathlib.Path(__file__).with_name('pwned').touch(); os._exit(9)\n"
    write(app, {"params.yaml": "rate: 0.7\n", "gitml.py": hostile, "click.py": hostile})
    pushed = commit(app, "faster")
    git(app, "push", "-q", project.remote("olga"), "faster")
    with project.home.as_("olga") as hub:
        number = hub.pulls.open(NewPull("Faster", "faster", "main")).number
    run = project.pipeline("faster", "push")
    assert [job["name"] for job in project.world.pipelines[run]["jobs"]], project.log
    project.pipeline("main", "schedule", "gitml report")
    with project.home.as_() as hub:
        (note,) = hub.comments.list(OnPull(number))
        assert f"run={run} " in note.body
        assert "accuracy" in note.body
        assert hub.pulls.get(number).head.commit != pushed


def test_from_a_gate_to_a_signed_promotion(project: Project, tmp_path: Path) -> None:
    app = tmp_path / "app"
    git(app, "checkout", "-q", "-b", "faster")
    write(app, {"params.yaml": "rate: 0.7\n"})
    commit(app, "faster")
    git(app, "push", "-q", project.remote("ada"), "faster")
    with project.home.as_("ada") as hub:
        training = hub.pulls.open(NewPull("Faster", "faster", "main")).number
    project.pipeline("faster", "push")
    project.pipeline("main", "schedule", "gitml report")
    project.home.review("rita", training)
    project.pipeline("main", "trigger")
    with project.home.as_() as hub:
        head = hub.pulls.get(training).head.commit
        assert gate_of(hub, head) is State.SUCCESS, project.log
        hub.merges.merge(training, head)
    project.pipeline("main", "push")
    with project.home.as_() as hub:
        (promotion,) = hub.merges.under("gitml/promote/")
        assert gate_of(hub, promotion.head.commit) is State.PENDING, project.log
    project.home.review("olga", promotion.number)
    project.home.review("rita", promotion.number)
    project.pipeline("main", "schedule", "gitml gate")
    with project.home.as_() as hub:
        assert gate_of(hub, promotion.head.commit) is State.SUCCESS, project.log
        hub.merges.merge(promotion.number, promotion.head.commit)
    project.pipeline("main", "push")
    found = evidence(project)
    assert all(found), [b.why_not for b in found]
    said = {(b.statement.binding.kind, b.statement.binding.result) for b in found if b.statement}
    assert {("trained", "passed"), ("evaluated", "passed"), ("gate", "passed"), ("approved", "passed")} <= said, (
        project.log
    )
    assert ("promoted", "passed") in said


def gate_of(hub: GovernedForge, commit: str) -> State | None:
    return next((s.state for s in hub.commits.statuses(commit) if s.context == "gitml/gate"), None)


def evidence(project: Project) -> list[Believed]:
    """All of the ledger, judged by the policy of main."""
    clone = project.fresh("main")
    head = ledger.fetch(clone, ledger.Remote.of(project.remote(), ""))
    keys = parse_policy((clone / "policy.yaml").read_bytes()).keys
    now = datetime.now(UTC)
    return [believe(e.content, keys, project.home.repository, now) for e in ledger.read(clone, head or "HEAD")]


def test_a_look_that_nothing_asks_for(project: Project, tmp_path: Path) -> None:
    app, (key, public) = tmp_path / "app", generate()
    line = f'  looks: {{public: "{public}", owner: CI, purposes: [look], from: 2026-01-01}}\n'
    with (app / "policy.yaml").open("a") as file:
        file.write(line)
    (tmp_path / "traffic").mkdir()
    with (app / "gitml.yaml").open("a") as file:
        file.write(f"traffic: {{at: '{tmp_path / 'traffic'}'}}\n")
    assert gitml(app, "ci", "render").code == 0
    commit(app, "looks")
    git(app, "push", "-q", project.remote("ada"), "main")
    project.secrets["gitml-looks"] = {
        "GITML_TOKEN": project.secrets["gitml-bot"]["GITML_TOKEN"],
        "GITML_LOOKS_KEY": key,
    }
    run = project.pipeline("main", "schedule", "gitml monitor")
    assert project.world.pipelines[run]["name"] == "gitml monitor"
    for job in ("monitor:evaluate", "monitor:sign", "monitor:publish", "gate:gate"):
        assert f"PASS  {job}" in project.log, project.log
