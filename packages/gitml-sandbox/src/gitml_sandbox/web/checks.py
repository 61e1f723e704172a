"""What stands for and against a pull request, for its page: checks, reviewers, ways to merge."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from gitml_sandbox.changes import merge
from gitml_sandbox.forge import checks, judging, protections, pulls, repos, reviews, rules, statuses, users
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.rules import Reason
from gitml_sandbox.forge.users import User
from gitml_sandbox.web.serve import Visit

WAITS = "Expected: nobody has reported it for this commit"
METHOD_WORDS = {
    "merge": "Create a merge commit",
    "squash": "Squash and merge",
    "rebase": "Rebase and merge",
}


@dataclass(frozen=True)
class CheckLine:
    """One check of a commit. ``state``: success, failure, error, pending, or expected: required and not there."""

    name: str
    state: str
    words: str
    url: str = ""
    by: str = ""
    required: bool = False
    at: str = ""


def lines(visit: Visit, sha: str, base: str = "") -> list[CheckLine]:
    """All checks of a commit, the worst first; with ``base``, also those that the branch asks for in vain."""
    needed = _required(visit, base)
    found = [_status(visit, row, needed) for row in statuses.latest(visit.tx, visit.repo.id, sha)]
    found += [_run(visit, row, needed) for row in checks.listing(visit.tx, visit.repo.id, sha)]
    there = {line.name for line in found}
    found += [CheckLine(name, "expected", WAITS, required=True) for name in needed if name not in there]
    order = ("error", "failure", "expected", "pending", "success")
    return sorted(found, key=lambda line: (order.index(line.state), line.name.lower()))


def _required(visit: Visit, base: str) -> tuple[str, ...]:
    rule = protections.find(visit.tx, visit.repo.id, base) if base else None
    wanted = rule.required_status_checks if rule else None
    return tuple(check.context for check in wanted.checks) if wanted else ()


def _status(visit: Visit, row: sqlite3.Row, needed: tuple[str, ...]) -> CheckLine:
    by = users.by_id(visit.tx, row["creator_id"]).login
    words, url = row["description"] or "", local_url(visit, row["target_url"] or "")
    return CheckLine(row["context"], row["state"], words, url, by, row["context"] in needed, row["created_at"])


def _run(visit: Visit, row: sqlite3.Row, needed: tuple[str, ...]) -> CheckLine:
    by = users.by_id(visit.tx, row["app_id"]).login
    state = rules.check_run_state(row["status"], row["conclusion"])
    output = json.loads(row["output"])
    words = output.get("title") or (row["conclusion"] or row["status"]).replace("_", " ")
    url = local_url(visit, row["details_url"] or "") or f"{visit.home}/runs/{row['id']}"
    return CheckLine(
        row["name"], state, words, url, by, row["name"] in needed, row["completed_at"] or row["created_at"]
    )


def local_url(visit: Visit, address: str) -> str:
    """An address of this sandbox as a path, so that it works under each of its names; nothing but http."""
    base = visit.sandbox.base_url
    if address.startswith(f"{base}/"):
        return address[len(base) :]
    return address if address.startswith(("http://", "https://")) else ""


def summary(found: list[CheckLine]) -> str:
    """One word for all of them: '' (none), failure, pending or success."""
    states = {line.state for line in found}
    if states & {"failure", "error"}:
        return "failure"
    if states & {"pending", "expected"}:
        return "pending"
    return "success" if states else ""


@dataclass(frozen=True)
class Reviewer:
    """``state`` is the newest opinion: APPROVED, CHANGES_REQUESTED, DISMISSED, COMMENTED, or REQUESTED."""

    user: User
    state: str
    stale: bool = False
    counts: bool = True


def reviewers(visit: Visit, pull: Pull) -> list[Reviewer]:
    """Everybody who said something or was asked to."""
    newest: dict[int, sqlite3.Row] = {}
    for row in reviews.listing(visit.tx, pull.id):
        opinion = row["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
        if opinion or row["user_id"] not in newest:
            newest[row["user_id"]] = row
    asked = pulls.requested_users(visit.tx, pull.id)
    found = [
        Reviewer(
            users.by_id(visit.tx, number),
            row["state"],
            row["covers"] != pull.head_sha,
            judging.may_write(visit.view, visit.repo, number),
        )
        for number, row in newest.items()
        if number != pull.author_id and number not in asked
    ]
    return found + [Reviewer(users.by_id(visit.tx, n), "REQUESTED") for n in asked]


@dataclass(frozen=True)
class MergeBox:
    """``methods`` are those that may be used now; empty: shut, for ``reasons``. ``bypassed``: an admin's right."""

    methods: Mapping[str, str]
    reasons: tuple[Reason, ...]
    bypassed: tuple[Reason, ...]
    may: bool
    unknown: bool = False


def merge_box(visit: Visit, pull: Pull) -> MergeBox:
    """What the visitor may do with the pull request, and every reason why not."""
    allowed = [name for name, switch in merge.METHODS.items() if repos.switch(visit.repo, switch)]
    # To the rules, squash and rebase are the same: neither makes a merge commit.
    kinds = {name: "merge" if name == "merge" else "squash" for name in allowed}
    verdicts = {k: judging.judge(visit.view, pull, by=visit.actor, method=k) for k in dict.fromkeys(kinds.values())}
    judged = {name: verdicts[kind] for name, kind in kinds.items()}
    methods = {name: METHOD_WORDS[name] for name, verdict in judged.items() if verdict.allowed}
    shown = next((judged[n] for n in allowed if n in methods), None) or next(
        (judged[n] for n in reversed(allowed)), rules.Judgement(())
    )
    reasons = shown.reasons
    if not allowed:
        reasons = (Reason("blocked", "No way to merge is allowed on this repository"),)
    unknown = any(r.kind == "unknown" for r in reasons)
    return MergeBox(methods if visit.writes else {}, reasons, shown.bypassed, visit.writes, unknown)


def review_hint(visit: Visit, pull: Pull) -> str:
    """Why the visitor's approval is not possible or does not count; '' if it does."""
    if visit.user is None:
        return "Log in to review."
    if visit.user.id == pull.author_id:
        return "This is your own pull request: you can comment on it, others have to approve it."
    if not repos.at_least(visit.role, "write"):
        return "You cannot write to this repository, so your approval does not count towards the required ones."
    return ""
