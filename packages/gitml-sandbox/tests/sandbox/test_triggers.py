"""GitHub's event semantics: each row of docs/reference/sandbox-events.md, by its name, without a runner."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gitml_sandbox.actions.triggers import Event, decide, is_fork, skip_requested
from gitml_sandbox.actions.workflows import Broken, Workflow, parse_or_broken

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "sandbox-events.md"
BODY = "\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: ls}]\n"
ZERO = "0" * 40
A, B, MERGE, DEFAULT, TAG = "a" * 40, "b" * 40, "c" * 40, "d" * 40, "e" * 40


@dataclass
class Repository:
    """Facts of an imagined repository: refs, files per commit, differences, messages, merges."""

    refs: dict[str, str] = field(default_factory=lambda: {"refs/heads/main": DEFAULT, "refs/heads/topic": B})
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    diffs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    merges: dict[int, str] = field(default_factory=lambda: {7: MERGE})
    default_branch: str = "main"
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    def resolve(self, ref: str) -> str | None:
        return self.refs.get(ref)

    def merge_commit(self, number: int) -> str | None:
        return self.merges.get(number)

    def workflows(self, commit: str) -> Sequence[Workflow | Broken]:
        return [parse_or_broken(path, text.encode()) for path, text in self.files.get(commit, {}).items()]

    def changed(self, before: str, after: str, *, from_merge_base: bool) -> Sequence[str]:
        self.asked.append((before, after, from_merge_base))
        return self.diffs.get((before, after), ["src/a.py"])

    def message(self, commit: str) -> str:
        return self.messages.get(commit, "a change")


def on(text: str, *commits: str, path: str = "w.yml", **more: Any) -> Repository:
    """A repository with a workflow that has this `on:`, at these commits only."""
    return Repository(files={c: {path: f"on: {text}{BODY}"} for c in commits}, **more)


def pushed(ref: str = "refs/heads/main", sha: str = A, **payload: Any) -> Event:
    return Event("push", "", {"before": B, "deleted": False, **payload}, "user", ref, sha)


def pull(name: str = "pull_request", action: str = "opened", *, fork: bool = False, merged: bool = False) -> Event:
    sides = {
        "head": {"ref": "topic", "sha": B, "repo": {"full_name": "eve/fork" if fork else "ada/demo"}},
        "base": {"ref": "main", "sha": DEFAULT, "repo": {"full_name": "ada/demo"}},
    }
    return Event(name, action, {"pull_request": {"number": 7, "merged": merged, **sides}}, "user")


def run_event(action: str = "completed", *, name: str = "CI", branch: str = "topic", chain: int = 0) -> Event:
    payload = {"workflow_run": {"id": 1, "name": name, "head_branch": branch}}
    return Event("workflow_run", action, payload, "app", chain=chain)


def simple(name: str, action: str = "created", **how: Any) -> Event:
    return Event(name, action, how.pop("payload", {}), "user", **how)


DISPATCH = {"workflow": "w.yml", "inputs": {}}


def place(event: Event, repository: Repository) -> str:
    """`ref commit` of the one run that starts, the reason why none does, or `nothing`."""
    found = decide(event, repository)
    if not found:
        return "nothing"
    assert len(found) == 1
    one = found[0]
    waits = "approval " if one.approval else ""
    return f"{waits}{one.place.ref} {one.place.sha}" if one.starts else one.reason


ON_MAIN = f"refs/heads/main {DEFAULT}"
ON_MERGE = f"refs/pull/7/merge {MERGE}"
# name of the row -> (event, repository, what must come out: text in the answer)
ROWS: dict[str, tuple[Callable[[], Event], Callable[[], Repository], str]] = {
    "push/ref": (pushed, lambda: on("push", A), f"refs/heads/main {A}"),
    "push/tag": (lambda: pushed("refs/tags/v1", TAG), lambda: on("push", TAG), f"refs/tags/v1 {TAG}"),
    "push/deleted": (lambda: pushed(sha=ZERO, deleted=True), lambda: on("push", A), "nothing"),
    "push/branches": (
        lambda: pushed("refs/heads/x", A),
        lambda: on("{push: {branches: [main]}}", A),
        "not among its branches",
    ),
    "push/branches-negated": (
        lambda: pushed("refs/heads/r/1-alpha", A),
        lambda: on("{push: {branches: ['r/**', '!r/**-alpha']}}", A),
        "not among its branches",
    ),
    "push/branches-ignore": (
        lambda: pushed("refs/heads/wip/x", A),
        lambda: on("{push: {branches-ignore: ['wip/**']}}", A),
        "among its branches-ignore",
    ),
    "push/tags-only": (pushed, lambda: on("{push: {tags: ['v*']}}", A), "listens to tags only"),
    "push/branches-only": (
        lambda: pushed("refs/tags/v1", TAG),
        lambda: on("{push: {branches: ['**']}}", TAG),
        "listens to branches only",
    ),
    "push/paths": (pushed, lambda: on("{push: {paths: ['docs/**']}}", A), "no changed file is among its paths"),
    "push/paths-ignore": (pushed, lambda: on("{push: {paths-ignore: ['src/**']}}", A), "among its paths-ignore"),
    "push/paths-tag": (
        lambda: pushed("refs/tags/v1", TAG),
        lambda: on("{push: {paths: ['docs/**']}}", TAG),
        f"refs/tags/v1 {TAG}",
    ),
    "push/skip-ci": (pushed, lambda: on("push", A, messages={A: "x [skip ci]"}), "asks to skip"),
    "push/broken-file": (pushed, lambda: Repository(files={A: {"w.yml": "on: ["}}), f"refs/heads/main {A}"),
    "pull_request/ref": (pull, lambda: on("pull_request", MERGE), ON_MERGE),
    "pull_request/conflict": (pull, lambda: on("pull_request", MERGE, merges={}), "nothing"),
    "pull_request/default-types": (
        lambda: pull(action="labeled"),
        lambda: on("pull_request", MERGE),
        "not among its types",
    ),
    "pull_request/types": (
        lambda: pull(action="ready_for_review"),
        lambda: on("{pull_request: {types: [ready_for_review]}}", MERGE),
        ON_MERGE,
    ),
    "pull_request/branches": (pull, lambda: on("{pull_request: {branches: [rel]}}", MERGE), "branch main is not among"),
    "pull_request/paths": (pull, lambda: on("{pull_request: {paths: [docs/*]}}", MERGE), "no changed file"),
    "pull_request/skip-ci": (pull, lambda: on("pull_request", MERGE, messages={B: "[no ci] x"}), "asks to skip"),
    "pull_request/merged": (
        lambda: pull(action="closed", merged=True),
        lambda: on("{pull_request: {types: [closed]}}", DEFAULT),
        ON_MAIN,
    ),
    "pull_request_target/ref": (
        lambda: pull("pull_request_target"),
        lambda: on("pull_request_target", DEFAULT),
        ON_MAIN,
    ),
    "pull_request_target/conflict": (
        lambda: pull("pull_request_target"),
        lambda: on("pull_request_target", DEFAULT, merges={}),
        ON_MAIN,
    ),
    "pull_request_target/not-head": (
        lambda: pull("pull_request_target"),
        lambda: on("pull_request_target", MERGE, B),
        "nothing",
    ),
    "pull_request_review/ref": (
        lambda: pull("pull_request_review", "submitted"),
        lambda: on("pull_request_review", MERGE),
        ON_MERGE,
    ),
    "workflow_run/ref": (run_event, lambda: on("{workflow_run: {workflows: [CI]}}", DEFAULT), ON_MAIN),
    "workflow_run/name": (
        lambda: run_event(name="Other"),
        lambda: on("{workflow_run: {workflows: [CI]}}", DEFAULT),
        "not among its workflows",
    ),
    "workflow_run/branches": (
        run_event,
        lambda: on("{workflow_run: {workflows: [CI], branches: [main]}}", DEFAULT),
        "branch topic is not among",
    ),
    "workflow_run/types": (
        lambda: run_event("requested"),
        lambda: on("{workflow_run: {workflows: [CI], types: [completed]}}", DEFAULT),
        "not among its types",
    ),
    "workflow_run/chain": (
        lambda: run_event(chain=3),
        lambda: on("{workflow_run: {workflows: [CI]}}", DEFAULT),
        "nothing",
    ),
    "schedule/ref": (
        lambda: simple("schedule", "", payload={"schedule": "* * * * *", "workflow": "w.yml"}),
        lambda: on("{schedule: [{cron: '* * * * *'}]}", DEFAULT),
        ON_MAIN,
    ),
    "workflow_dispatch/ref": (
        lambda: simple("workflow_dispatch", "", payload=DISPATCH, ref="refs/heads/topic"),
        lambda: on("workflow_dispatch", DEFAULT, B),
        f"refs/heads/topic {B}",
    ),
    "workflow_dispatch/default-branch": (
        lambda: simple("workflow_dispatch", "", payload=DISPATCH, ref="refs/heads/topic"),
        lambda: on("workflow_dispatch", B),
        "nothing",
    ),
    "token/job": (lambda: replace(pushed(), token_kind="job"), lambda: on("push", A), "nothing"),
    "token/job-pull_request": (
        lambda: replace(pull(), token_kind="job"),
        lambda: on("pull_request", MERGE),
        "approval",
    ),
    "token/job-pull_request_target": (
        lambda: replace(pull("pull_request_target"), token_kind="job"),
        lambda: on("pull_request_target", DEFAULT),
        "nothing",
    ),
    "token/job-dispatch": (
        lambda: replace(simple("workflow_dispatch", "", payload=DISPATCH, ref="refs/heads/topic"), token_kind="job"),
        lambda: on("workflow_dispatch", DEFAULT, B),
        f"refs/heads/topic {B}",
    ),
    "token/app": (lambda: replace(pushed(), token_kind="app"), lambda: on("push", A), f"refs/heads/main {A}"),
}


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    event, repository, expected = ROWS[row]
    found = place(event(), repository())
    assert found == expected if expected == "nothing" else expected in found


def test_every_row_is_in_the_docs_with_a_link_to_githubs_page() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    documented = {re.match(r"\| `([^`]+)`", line)[1]: line for line in lines}  # type: ignore[index]
    pure = {row for row in documented if "/" in row and not row.startswith("run/")}
    assert pure == ROWS.keys()
    for row, line in documented.items():
        assert re.search(r"\(https://(docs\.github\.com|github\.blog)/\S+\)", line), row


def test_a_file_with_other_events_is_not_even_considered() -> None:
    assert decide(pushed(), on("pull_request", A)) == []


def test_a_new_branch_is_compared_with_where_it_left_the_default_branch() -> None:
    repository = on("{push: {paths: ['src/**']}}", A)
    assert "refs/heads/new" in place(pushed("refs/heads/new", before=ZERO), repository)
    assert repository.asked == [(DEFAULT, A, True)]


def test_a_pull_request_is_compared_with_its_merge_base_and_a_push_with_what_was_there() -> None:
    repository = on("{push: {paths: ['src/**']}}", A)
    place(pushed(), repository)
    assert repository.asked == [(B, A, False)]
    repository = on("{pull_request: {paths: ['src/**']}}", MERGE)
    place(pull(), repository)
    assert repository.asked == [(DEFAULT, B, True)]


@pytest.mark.parametrize(
    "message", ["[skip ci]", "x [CI SKIP]", "[no ci]", "[skip actions]", "[actions skip]", "x\n\nskip-checks: true"]
)
def test_words_that_skip(message: str) -> None:
    assert skip_requested(message)


@pytest.mark.parametrize("message", ["skip ci", "[skip-ci]", "skip-checks: true", "x\nskip-checks: true"])
def test_words_that_do_not_skip(message: str) -> None:
    assert not skip_requested(message)


def test_forks_are_told_by_their_head_repository() -> None:
    assert is_fork(pull(fork=True).payload)
    assert not is_fork(pull().payload)
    assert not is_fork({})
    gone = pull().payload
    gone["pull_request"]["head"]["repo"] = None
    assert is_fork(gone)
