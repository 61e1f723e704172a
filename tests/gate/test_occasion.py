"""Which pull requests an event is about, and whether it may sign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forges.homes import memory_home, pull
from gitml.errors import UsageError
from gitml.gate.occasion import Occasion, Queue, occasion

MAIN = "refs/heads/main"
A, B = "a" * 40, "b" * 40


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    home = memory_home(tmp_path / "forge")
    home.write("ada", "README.md", "hello\n")

    def call(name: str, event: Any, ref: str = MAIN, **env: str) -> Occasion:
        path = tmp_path / "event.json"
        path.write_text(event if isinstance(event, str) else json.dumps(event))
        given = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_REF": ref, "GITHUB_EVENT_PATH": str(path)}
        with home.as_() as forge:
            return occasion({**given, **env}, forge, "main")

    call.home = home  # type: ignore[attr-defined]
    return call


def test_events_of_pull_requests_name_theirs_and_only_the_default_branchs_workflow_signs(ask: Any) -> None:
    event = {"pull_request": {"number": 7}}
    assert ask("pull_request_target", event) == Occasion((7,), official=True)
    assert ask("pull_request", event, "refs/pull/7/merge") == Occasion((7,), official=False)
    assert ask("pull_request", event, MAIN) == Occasion((7,), official=False)
    assert ask("pull_request_target", event, "refs/heads/other") == Occasion((7,), official=False)


def test_what_moves_time_or_the_base_is_about_all_of_them(ask: Any) -> None:
    for name in ("push", "schedule"):
        assert ask(name, {}) == Occasion(None, official=True)
    assert ask("workflow_dispatch", {}, GITML_PULL="12") == Occasion((12,), official=True)
    assert ask("workflow_dispatch", {}, GITML_PULL="") == Occasion(None, official=True)
    assert ask("workflow_dispatch", {}, GITML_PULL="0") == Occasion(None, official=True), "as a job's own dispatch"
    ended = {"workflow_run": {"event": "push", "head_branch": "main", "head_sha": A}}
    assert ask("workflow_run", ended) == Occasion(None, official=True)
    assert ask("push", {}, "refs/heads/side") == Occasion(None, official=False)
    # A system elsewhere hears of no queue, so it looks for what waits in one.
    there = {"GITML_CI_SYSTEM": "jenkins", "GITML_BRANCH": "main"}
    assert ask("push", {}, **there) == Occasion(None, official=True, seeks_queue=True)
    assert ask("push", {}, **there | {"GITML_BRANCH": "side"}) == Occasion(None)


def test_a_review_is_about_the_pull_requests_of_its_commit_also_where_github_names_none(ask: Any) -> None:
    made = pull(ask.home, "side")
    run = {"event": "pull_request_review", "head_sha": made.head.commit, "pull_requests": []}
    run |= {"head_branch": "side", "head_repository": {"full_name": ask.home.repository}}
    assert ask("workflow_run", {"workflow_run": run}) == Occasion((made.number,), official=True)
    run |= {"head_sha": A, "head_branch": "gone"}
    assert ask("workflow_run", {"workflow_run": run}) == Occasion((), official=True)


def test_a_merge_queue_names_its_commits(ask: Any) -> None:
    event = {"merge_group": {"base_sha": A, "head_sha": B}}
    assert ask("merge_group", event, "refs/heads/gh-readonly-queue/main/pr-1") == Occasion(
        queue=Queue(A, B), official=True
    )
    with pytest.raises(UsageError, match="names no commits"):
        ask("merge_group", {"merge_group": {"base_sha": "--upload-pack=x", "head_sha": B}})


@pytest.mark.parametrize("event", ["", "[", "[]", "{}", '{"pull_request": []}', '{"pull_request": {"number": "x"}}'])
def test_an_event_that_says_nothing_is_an_error_and_no_guess(ask: Any, event: str) -> None:
    with pytest.raises(UsageError, match="does not name the number of a pull request"):
        ask("pull_request_target", event)


def test_outside_ci_nothing_is_signed_whatever_the_environment_says(ask: Any) -> None:
    assert ask("push", {}, GITHUB_ACTIONS="").official is False
