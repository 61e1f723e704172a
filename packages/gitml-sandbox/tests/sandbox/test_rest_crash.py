"""Kill -9 under the REST API: every acknowledged review, comment, status and merge is there; nothing is half done."""

from __future__ import annotations

import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitml_sandbox.forge import comments, issues, pulls, repos, reviews, statuses
from gitml_sandbox.forge.context import Sandbox
from sandbox import test_crash as crash
from sandbox.forge_kit import git
from sandbox.test_crash import Template, recovered, server

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

# The fixture of the pushes' tests serves here, too.
template = crash.template


def request(template: Template, url: str, who: str, method: str, path: str, body: Any) -> httpx.Response | None:
    """The answer, or None when the server died before it came."""
    headers = {"Authorization": f"token {template.tokens[who]}"}
    try:
        return httpx.request(
            method, f"{url}/api/v3/repos/{template.repo.full_name}/{path}", json=body, headers=headers, timeout=20
        )
    except httpx.HTTPError:
        return None


@pytest.fixture(scope="module")
def with_pull(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with pull request 1, from the branch topic."""
    made = Path(shutil.copytree(template.state, tmp_path_factory.mktemp("pull") / "state"))
    with server(made) as (_, url):
        body = {"title": "t", "head": "topic", "base": "main"}
        answer = request(template, url, "ada", "POST", "pulls", body)
        assert answer is not None
        assert answer.status_code == 201, answer.text
    return made


@pytest.fixture
def state(with_pull: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_pull, tmp_path / "state"))


MERGE = (
    "rest-committed",
    "update-before-journal",
    "update-journaled",
    "update-refs-moved",
    "settle-before-record",
    "settle-before-commit",
    "settle-recorded",
    "update-recorded",
    "merge-before-delete",
)


@pytest.mark.parametrize("point", MERGE)
def test_a_merge_killed_at(template: Template, state: Path, point: str) -> None:
    with server(state, point) as (running, url):
        answer = request(template, url, "ada", "PUT", "pulls/1/merge", {"merge_method": "squash"})
        assert running.wait(20) == -9, "the point was not passed"
        assert answer is None
    with recovered(state) as box, box.store.read() as tx:
        repo = repos.get(tx, template.repo.full_name)
        pull = pulls.get(tx, repo.id, 1)
        tip = git(repos.path(box, repo), "rev-parse", "refs/heads/main").strip()
        told = [r["action"] for r in tx.execute("SELECT action FROM events WHERE name = 'pull_request' ORDER BY id")]
        # Either the base moved, and then the pull request is merged and said so, or nothing happened at all.
        if tip == template.old:
            assert (pull.state, pull.merged, told) == ("open", False, ["opened"])
        else:
            assert (pull.state, pull.merged, told) == ("closed", True, ["opened", "closed"])
            assert pull.merge_commit_sha == tip
            assert pull.merged_by is not None


@pytest.mark.parametrize("point", ["review-before-commit", "rest-committed"])
def test_a_review_killed_at(template: Template, state: Path, point: str) -> None:
    with server(state, point) as (running, url):
        assert request(template, url, "olga", "POST", "pulls/1/reviews", {"event": "APPROVE"}) is None
        assert running.wait(20) == -9
    with recovered(state) as box, box.store.read() as tx:
        pull = pulls.get(tx, template.repo.id, 1)
        told = tx.execute("SELECT count(*) FROM events WHERE name = 'pull_request_review'").fetchone()[0]
        kept = len(reviews.listing(tx, pull.id))
        assert kept == told == (point == "rest-committed")


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random(template: Template, state: Path, seed: int) -> None:
    """Four clients write as fast as they can until the process is gone; what they were told is there."""
    told: dict[str, list[str]] = {"review": [], "comment": [], "status": []}
    guard, dead, answered = threading.Lock(), threading.Event(), threading.Semaphore(0)

    def work(number: int) -> None:
        for count in range(10_000):
            kind = ("review", "comment", "status")[count % 3]
            word = f"{number}-{count}"
            method, path, body = {
                "review": ("POST", "pulls/1/reviews", {"event": "COMMENT", "body": word}),
                "comment": ("POST", "issues/1/comments", {"body": word}),
                "status": ("POST", f"statuses/{template.new}", {"state": "success", "context": word}),
            }[kind]
            answer = request(template, url, "olga", method, path, body)
            if answer is None or dead.is_set():
                return
            assert answer.status_code in (200, 201), answer.text
            with guard:
                told[kind].append(word)
            answered.release()

    with server(state) as (running, url), ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work, n) for n in range(4)]
        chance = random.Random(seed)
        # After so many answers, at any moment of the next one: however busy the machine is.
        for _ in range(chance.randrange(1, 24)):
            assert answered.acquire(timeout=60)
        time.sleep(chance.uniform(0, 0.05))
        running.kill()
        dead.set()
        for job in jobs:
            job.result()
    with recovered(state) as box:
        there = _kept(box, template)
    assert sum(map(len, told.values())) > 0
    for kind, words in told.items():
        assert set(words) <= there[kind], f"a {kind} was lost"


def _kept(box: Sandbox, template: Template) -> dict[str, set[str]]:
    with box.store.read() as tx:
        pull = pulls.get(tx, template.repo.id, 1)
        issue = issues.get(tx, template.repo.id, 1)
        return {
            "review": {r["body"] for r in reviews.listing(tx, pull.id)},
            "comment": {r["body"] for r in comments.of_issue(tx, issue["id"])},
            "status": {r["context"] for r in statuses.listing(tx, template.repo.id, template.new)},
        }
