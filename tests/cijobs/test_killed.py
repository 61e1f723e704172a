"""A run of CI on a real forge, killed everywhere between its data and its comment, and started again each time."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import forkserver
from cijobs.ci_kit import JOB, Ci, killing_git, new_ci
from cijobs.publishing import JOB as PERMISSIONS
from conftest import at_home, commit, git, gitml
from forges.chaos_kit import Chaos
from gitml_sandbox.forge import tokens
from sandbox.forge_kit import Kit

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

STATUSES, COMMENTS = "POST .*/statuses/", "POST .*/issues/[0-9]+/comments"
# The request to the forge at which the process dies, and whether the forge has carried it out by then.
PUBLISHING = [
    (STATUSES, 1, "before"),  # that the report is being posted
    (STATUSES, 1, "after"),
    (COMMENTS, 1, "before"),
    (COMMENTS, 1, "after"),
    (STATUSES, 2, "before"),  # the verdict
    (STATUSES, 2, "after"),
]


@dataclass
class Scene:
    """``ci`` has the forge's repository as its bare one; ``tools`` hold a gitml that can be killed."""

    ci: Ci
    kit: Kit
    chaos: Chaos
    tools: Path
    repo: str
    sha: str
    number: int
    token: str

    @property
    def env(self) -> dict[str, str]:
        return {
            **self.ci.env(self.sha, "faster"),
            "GITHUB_SERVER_URL": self.kit.url,
            "GITHUB_API_URL": f"{self.chaos.url}/api/v3",
            "GITHUB_REPOSITORY": self.repo,
            "GITHUB_TOKEN": self.token,
        }

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        env = {**at_home(), **self.env}
        return subprocess.Popen(
            [self.tools / "gitml", *words],
            cwd=self.ci.folder / "job",
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.kit.token['ada']}"}
        return httpx.get(f"{self.kit.url}/api/v3/repos/{self.repo}{path}", headers=headers).json()

    def comments(self) -> list[dict[str, Any]]:
        return [c for c in self.get(f"/issues/{self.number}/comments") if "gitml:report" in c["body"]]

    def until(self, what: Callable[[], bool]) -> None:
        """The forge carries out what it was asked, also when nobody waits for the answer."""
        end = time.monotonic() + 5
        while not what():
            assert time.monotonic() < end
            time.sleep(0.02)

    def status(self, sha: str) -> str:
        found = [s for s in self.get(f"/commits/{sha}/statuses") if s["context"] == "gitml/train"]
        return str(found[0]["state"]) if found else ""


def kill(process: subprocess.Popen[bytes]) -> None:
    """With what it started: a fork ends when its caller is gone, within milliseconds."""
    process.kill()
    process.wait()
    time.sleep(0.1)


@pytest.fixture
def scene(trained: Path, kit: Kit, chaos: Chaos, set_params: Callable[..., None], tmp_path: Path) -> Scene:
    ci = new_ci(trained, tmp_path)
    repo, bot = kit.repo(), kit.user("gitml-bot[bot]")
    remote = kit.remote(repo, "ada")
    git(ci.app, "push", "-q", remote, "HEAD:refs/heads/main")
    shutil.rmtree(ci.bare)
    ci.bare.symlink_to(kit.sandbox.root / "repos" / f"{repo.full_name}.git")
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = commit(ci.app, "faster")
    git(ci.app, "push", "-q", remote, "HEAD:refs/heads/faster")
    body = {"title": "faster", "head": "faster", "base": "main"}
    headers = {"Authorization": f"Bearer {kit.token['ada']}"}
    pull = httpx.post(f"{kit.url}/api/v3/repos/{repo.full_name}/pulls", json=body, headers=headers).json()
    with kit.sandbox.store.write() as tx:
        token = tokens.mint(tx, user_id=bot.id, kind="job", repo_id=repo.id, permissions=PERMISSIONS)
    tools = tmp_path / "tools"
    tools.mkdir()
    forkserver.commands(tools)
    return Scene(ci, kit, chaos, tools, repo.full_name, sha, int(pull["number"]), token)


def killed_while_pushing_data(scene: Scene) -> None:
    """As soon as something of what was trained is on DVC's remote."""

    def there() -> int:
        return sum(1 for path in scene.ci.remote.rglob("*") if path.is_file())

    scene.ci.clone(scene.sha)
    known = there()
    process = scene.start("ci", "run", JOB)
    while process.poll() is None and there() == known:
        time.sleep(0.001)
    kill(process)
    assert process.returncode == -9
    assert not list((scene.ci.folder / "job" / ".gitml-ci").glob("fragment-*"))


def killed_while_publishing(scene: Scene, pattern: str, number: int, when: str) -> None:
    scene.chaos.calm()
    process = scene.start("ci", "publish")

    def at_it() -> None:
        if scene.chaos.count(pattern) < number - 1:
            scene.chaos.before[pattern] = at_it
            return
        kill(process)
        if when == "before":
            scene.chaos.plan("drop", pattern)

    scene.chaos.before[pattern] = at_it
    process.wait(30)
    assert process.returncode == -9, (pattern, number, when)
    while scene.chaos.count(pattern) < number:
        time.sleep(0.01)


def test_it_ends_with_one_commit_one_record_and_one_comment(scene: Scene) -> None:
    ci = scene.ci
    killed_while_pushing_data(scene)
    assert ci.run(scene.sha, "faster", env=scene.env).code == 0
    for when in ("before", "after"):
        assert ci.commit(scene.sha, "faster", env={**scene.env, **killing_git(ci.folder, when)}).code == -9
        assert (ci.tip("faster") == scene.sha) == (when == "before")
    assert ci.commit(scene.sha, "faster", env=scene.env).code == 0
    for place, (pattern, number, when) in enumerate(PUBLISHING):
        killed_while_publishing(scene, pattern, number, when)
        scene.until(lambda posted=place >= 3: len(scene.comments()) == posted)
    scene.chaos.calm()

    ci.forget()
    assert ci.run(scene.sha, "faster", env=scene.env).code == 0
    assert "ran" not in ci.how().values(), "what was trained is not trained again"
    done = ci.commit(scene.sha, "faster", env=scene.env)
    assert done.code == 0, done.err
    published = gitml(ci.folder / "job", "ci", "publish", env=scene.env)
    assert published.code == 0, published.err
    head = ci.tip("faster")
    assert git(ci.bare, "rev-list", f"{scene.sha}..faster") == head
    assert len(ci.records("faster")) == len(ci.records("main")) + 1
    (comment,) = scene.comments()
    assert re.search(f"commit={scene.sha} ", comment["body"])
    assert (scene.status(scene.sha), scene.status(head)) == ("success", "success")
