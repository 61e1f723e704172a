"""Which workflows an event starts, from which commit, and why the others do not: GitHub's rules as pure
functions.

Every rule is a row of docs/reference/sandbox-events.md with a link to the page of GitHub's documentation that
states it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gitml_sandbox.actions.workflows import Broken, Trigger, Workflow
from gitml_sandbox.forge import globs

MAX_CHAIN = 3  # levels of workflow_run that follow one another

# pull_request without `types:` means these three; every other event means all of its types.
_PULL_TYPES = frozenset({"opened", "synchronize", "reopened"})
_SKIP_WORDS = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]", re.I)
_SKIP_TRAILER = re.compile(r"\n\n(?:[^\n]+\n)*skip-checks: ?true\s*$", re.I)
_ZERO = re.compile(r"0{40}(?:0{24})?")


@dataclass(frozen=True)
class Event:
    """One row of `events`; `chain` counts the workflow_run events that led here."""

    name: str
    action: str
    payload: Mapping[str, Any]
    token_kind: str  # user, app or job
    ref: str = ""
    sha: str = ""
    chain: int = 0


class Facts(Protocol):
    """What the rules ask of a repository."""

    default_branch: str

    def resolve(self, ref: str) -> str | None:
        """The commit of a ref, None if it is not there."""

    def merge_commit(self, number: int) -> str | None:
        """The merge of a pull request into its base, None on a conflict."""

    def workflows(self, commit: str) -> Sequence[Workflow | Broken]:
        """The workflow files of a commit."""

    def changed(self, before: str, after: str, *, from_merge_base: bool) -> Sequence[str]:
        """Paths that differ between two commits."""

    def message(self, commit: str) -> str:
        """The message of a commit."""


@dataclass(frozen=True)
class Place:
    """Where the workflow file comes from, which is also what GITHUB_REF and GITHUB_SHA say."""

    ref: str
    sha: str


@dataclass(frozen=True)
class Decision:
    """What becomes of one workflow file. `reason` says why it does not start; it is empty if it does."""

    workflow: Workflow | Broken
    place: Place
    reason: str = ""
    approval: bool = False  # the run waits until somebody with write access approves it

    @property
    def starts(self) -> bool:
        return not self.reason


def decide(event: Event, facts: Facts) -> list[Decision]:
    """One decision per workflow file that listens to the event; a broken file is reported for a push only."""
    suppressed, approval = by_token(event)
    if suppressed:
        return []
    place = place_of(event, facts)
    if place is None:
        return []
    found = []
    for workflow in facts.workflows(place.sha):
        if isinstance(workflow, Broken):
            if event.name == "push":
                found.append(Decision(workflow, place))
        elif event.name in workflow.on:
            reason = why_not(event, workflow, facts, place)
            found.append(Decision(workflow, place, reason, approval))
    return found


def by_token(event: Event) -> tuple[bool, bool]:
    """(starts nothing, starts a run that waits for approval) by the kind of token that caused the event.

    A job's own token starts only workflow_dispatch, and pull_request runs that wait for approval; a user's or an app's
    token starts everything.
    """
    if event.token_kind in {"user", "app"} or event.name == "workflow_dispatch":
        return False, False
    waits = event.name == "pull_request" and event.action in _PULL_TYPES
    return not waits, waits


def place_of(event: Event, facts: Facts) -> Place | None:
    """The ref and commit that supply the workflow file; None if the event starts nothing at all."""
    rule = _PLACES.get(event.name)
    return rule(event, facts) if rule else None


def _pushed(event: Event, facts: Facts) -> Place | None:
    deleted = event.payload.get("deleted") or _ZERO.fullmatch(event.sha or "0" * 40)
    if deleted or not event.ref.startswith(("refs/heads/", "refs/tags/")):
        return None
    return Place(event.ref, event.sha)


def _merge_ref(event: Event, facts: Facts) -> Place | None:
    pull = event.payload.get("pull_request") or {}
    if event.name == "pull_request" and event.action == "closed" and pull.get("merged"):
        return _at(f"refs/heads/{pull['base']['ref']}", facts)
    commit = facts.merge_commit(int(pull["number"]))
    return Place(f"refs/pull/{pull['number']}/merge", commit) if commit else None


def _default(event: Event, facts: Facts) -> Place | None:
    return _at(f"refs/heads/{facts.default_branch}", facts)


def _chained(event: Event, facts: Facts) -> Place | None:
    return _default(event, facts) if event.chain < MAX_CHAIN else None


def _dispatched(event: Event, facts: Facts) -> Place | None:
    place = _at(event.ref, facts)
    path = event.payload.get("workflow")
    on_default = _default(event, facts)
    if place is None or on_default is None:
        return None
    return place if any(w.path == path for w in facts.workflows(on_default.sha)) else None


def _given(event: Event, facts: Facts) -> Place | None:
    return _at(event.ref, facts)


def _at(ref: str, facts: Facts) -> Place | None:
    sha = facts.resolve(ref)
    return Place(ref, sha) if sha else None


_PLACES: Mapping[str, Callable[[Event, Facts], Place | None]] = {
    "push": _pushed,
    "pull_request": _merge_ref,
    "pull_request_review": _merge_ref,
    "pull_request_target": _default,
    "workflow_run": _chained,
    "schedule": _default,
    "workflow_dispatch": _dispatched,
    "create": _given,
    "delete": _default,
}


def why_not(event: Event, workflow: Workflow, facts: Facts, place: Place) -> str:
    """The first rule that keeps a workflow from starting, in words; empty if none does."""
    trigger = workflow.on[event.name]
    return (
        _wrong_type(event, trigger)
        or _other_file(event, workflow)
        or _wrong_branch(event, trigger)
        or _wrong_workflow(event, trigger)
        or _told_to_skip(event, facts)
        or _wrong_paths(event, trigger, facts)
    )


def _wrong_type(event: Event, trigger: Trigger) -> str:
    types = trigger.filters.get("types", ())
    if not types and event.name in {"pull_request", "pull_request_target"}:
        types = tuple(sorted(_PULL_TYPES))
    if not types or event.action in types:
        return ""
    return f"the type {event.action or '(none)'} is not among its types: {', '.join(types)}"


def _other_file(event: Event, workflow: Workflow) -> str:
    if event.name == "workflow_dispatch" and event.payload.get("workflow") != workflow.path:
        return "the dispatch names another file"
    if event.name == "schedule" and event.payload.get("workflow") not in {None, workflow.path}:
        return "the schedule is of another file"
    return ""


def _wrong_branch(event: Event, trigger: Trigger) -> str:
    if event.name == "push":
        return _wrong_pushed_ref(event.ref, trigger.filters)
    if event.name in {"pull_request", "pull_request_target"}:
        return _filtered("branch", str(event.payload["pull_request"]["base"]["ref"]), trigger.filters, "branches")
    if event.name == "workflow_run":
        head = str(event.payload["workflow_run"].get("head_branch") or "")
        return _filtered("branch", head, trigger.filters, "branches")
    return ""


def _wrong_pushed_ref(ref: str, filters: Mapping[str, tuple[str, ...]]) -> str:
    # Naming only branches shuts tags out, and the other way round.
    is_tag = ref.startswith("refs/tags/")
    mine, other = ("tags", "branches") if is_tag else ("branches", "tags")
    has_mine = mine in filters or f"{mine}-ignore" in filters
    has_other = other in filters or f"{other}-ignore" in filters
    word = "tag" if is_tag else "branch"
    if has_other and not has_mine:
        return f"it listens to {other} only and this is a {word}"
    return _filtered(word, ref.split("/", 2)[2], filters, mine)


def _filtered(word: str, name: str, filters: Mapping[str, tuple[str, ...]], kind: str) -> str:
    if kind in filters and not globs.selected(name, filters[kind]):
        return f"the {word} {name} is not among its {kind}: {', '.join(filters[kind])}"
    ignored = filters.get(f"{kind}-ignore", ())
    if ignored and globs.selected(name, ignored):
        return f"the {word} {name} is among its {kind}-ignore: {', '.join(ignored)}"
    return ""


def _wrong_workflow(event: Event, trigger: Trigger) -> str:
    if event.name != "workflow_run":
        return ""
    name = str(event.payload["workflow_run"]["name"])
    wanted = trigger.filters.get("workflows", ())
    return (
        "" if globs.selected(name, wanted) else f"the workflow {name} is not among its workflows: {', '.join(wanted)}"
    )


def skip_requested(message: str) -> bool:
    """True if a commit message asks for no runs: [skip ci] and its kin, or `skip-checks: true`."""
    return bool(_SKIP_WORDS.search(message) or _SKIP_TRAILER.search(message.rstrip() + "\n"))


def _told_to_skip(event: Event, facts: Facts) -> str:
    if event.name == "push":
        commit = event.sha
    elif event.name == "pull_request":
        commit = str(event.payload["pull_request"]["head"]["sha"])
    else:
        return ""
    return "the message of the head commit asks to skip it" if skip_requested(facts.message(commit)) else ""


def _wrong_paths(event: Event, trigger: Trigger, facts: Facts) -> str:
    wanted, ignored = trigger.filters.get("paths", ()), trigger.filters.get("paths-ignore", ())
    if not wanted and not ignored:
        return ""
    if (paths := _changed_paths(event, facts)) is None:
        return ""
    if wanted and not globs.any_selected(paths, wanted):
        return f"no changed file is among its paths: {', '.join(wanted)}"
    if ignored and not globs.any_left(paths, ignored):
        return f"every changed file is among its paths-ignore: {', '.join(ignored)}"
    return ""


def _changed_paths(event: Event, facts: Facts) -> Sequence[str] | None:
    """None where GitHub does not look at paths: tags, and events other than pushes and pull requests."""
    if event.name in {"pull_request", "pull_request_target"}:
        pull = event.payload["pull_request"]
        return facts.changed(str(pull["base"]["sha"]), str(pull["head"]["sha"]), from_merge_base=True)
    if event.name != "push" or event.ref.startswith("refs/tags/"):
        return None
    before = str(event.payload.get("before") or "")
    if before and not _ZERO.fullmatch(before):
        return facts.changed(before, event.sha, from_merge_base=False)
    # A new branch is compared with where it left the default branch; the default branch itself with nothing.
    base = facts.resolve(f"refs/heads/{facts.default_branch}")
    if base and event.ref != f"refs/heads/{facts.default_branch}":
        return facts.changed(base, event.sha, from_merge_base=True)
    return facts.changed("", event.sha, from_merge_base=False)


def is_fork(payload: Mapping[str, Any]) -> bool:
    """True if a pull request's head lives in another repository than its base, or that repository is gone."""
    pull = payload.get("pull_request")
    if not isinstance(pull, dict) or "head" not in pull:
        return False
    head, base = pull["head"].get("repo"), pull["base"].get("repo")
    return head is None or base is None or head.get("full_name") != base.get("full_name")
