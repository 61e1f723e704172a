"""Things of the forge in memory as GitLab shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from forges.gitlab_standin.world import Ask, RefusedError, World, person
from gitml.forges.base import OnPull, PullRequest, State, Status
from gitml.forges.memory.history import CommitObject
from gitml.forges.memory.rules import checks, obstacles
from gitml.forges.memory.state import PullRecord

STATES = {"pending": State.PENDING, "running": State.PENDING, "success": State.SUCCESS, "failed": State.FAILURE}
SAID = {State.PENDING: "pending", State.SUCCESS: "success", State.FAILURE: "failed", State.ERROR: "canceled"}
EPOCH = "1970-01-01T00:00:00Z"


def record_of(ask: Ask) -> PullRecord:
    ask.hub.pulls.all_open()  # what was pushed meanwhile is noticed
    if ask.iid not in ask.state.pulls:
        raise RefusedError(404, "404 Not found")
    return ask.state.pulls[ask.iid]


def merge_request(ask: Ask, found: PullRecord, *, whole: bool = False) -> dict[str, Any]:
    pull, merged, world = found.pull, found.merged, ask.world
    state = "opened" if pull.is_open else "merged" if pull.is_merged else "closed"
    shown = {
        "id": 1000 + pull.number,
        "iid": pull.number,
        "project_id": world.project(pull.base.repository),
        "title": f"Draft: {pull.title}" if pull.is_draft else pull.title,
        "description": pull.body or None,
        "state": state,
        "draft": pull.is_draft,
        "target_branch": pull.base.branch,
        "source_branch": pull.head.branch,
        "source_project_id": world.project(pull.head.repository),
        "target_project_id": world.project(pull.base.repository),
        "author": person(found.author),
        "labels": list(pull.labels),
        "sha": pull.head.commit,
        "merge_commit_sha": merged.commit if merged and merged.commit != pull.head.commit else None,
        "squash_commit_sha": None,
        "merge_user": person(merged.by) if merged else None,
        "merged_at": merged.time if merged else None,
        "reviewers": [ask.person(login) for login in found.asked.people],
        "detailed_merge_status": standing(ask, found),
        "web_url": f"{world.url}/{pull.base.repository}/-/merge_requests/{pull.number}",
    }
    if whole:
        said = ask.hub.commits.statuses(pull.head.commit)
        status = next((SAID[s.state] for s in said if s.state is not State.SUCCESS), "success")
        shown["head_pipeline"] = {"id": 1, "status": status} if said else None
        shown["diff_refs"] = {
            "base_sha": pull.base.commit,
            "start_sha": pull.base.commit,
            "head_sha": pull.head.commit,
        }
    return shown


def standing(ask: Ask, found: PullRecord) -> str:
    """``detailed_merge_status``."""
    pull, hub = found.pull, ask.hub
    if not pull.is_open:
        return "not_open"
    base = hub.session.host.head(pull.base.branch)
    tree = hub.session.host.history().merged_tree(base, pull.head.commit) if base else None
    words = dict(obstacles(hub.session.host, found, tree, None))
    if "draft" in words:
        return "draft_status"
    if "dirty" in words:
        return "conflict"
    if "blocked" in words:
        return "not_approved" if "review" in words["blocked"] else "requested_changes"
    return "ci_must_pass" if lacks_pipeline(ask, pull) else "mergeable"


def lacks_pipeline(ask: Ask, pull: PullRequest) -> bool:
    said = ask.hub.commits.statuses(pull.head.commit)
    return ask.world.needs_pipeline and (not said or any(s.state is not State.SUCCESS for s in said))


def notes(ask: Ask) -> Iterator[dict[str, Any]]:
    """Of a merge request: people's, and those that GitLab writes when somebody approves."""
    record_of(ask)
    for comment in ask.hub.comments.list(OnPull(ask.iid)):
        yield note(ask, comment.id, comment.body, comment.author, comment.created, comment.updated)
    for review in ask.hub.reviews.list(ask.iid):
        state, who = review.was or review.state, review.person.login
        words = {"APPROVED": "approved this merge request", "CHANGES_REQUESTED": "requested changes"}.get(state, "")
        yield {**note(ask, review.id, words, who, review.time), "system": bool(words)}
        if review.dismissed and review.was == "APPROVED":
            gone = note(ask, 10_000_000 + review.id, "unapproved this merge request", who, review.dismissed)
            yield {**gone, "system": True}


def note(ask: Ask, number: int, body: str, author: str, created: str, updated: str = "") -> dict[str, Any]:
    return {
        "id": number,
        "body": body,
        "author": ask.person(author),
        "created_at": created.replace("Z", ".000Z"),
        "updated_at": (updated or created).replace("Z", ".000Z"),
        "system": False,
    }


def versions(ask: Ask) -> list[dict[str, Any]]:
    head = record_of(ask).pull.head
    moves = [m for m in ask.state.moves if (m.repository, m.branch) == (head.repository, head.branch)]
    heads = [(m.pushed.after, m.pushed.time) for m in moves] or [(head.commit, EPOCH)]
    return [
        {"id": number, "head_commit_sha": commit, "created_at": time.replace("Z", ".000Z"), "state": "collected"}
        for number, (commit, time) in enumerate(heads, 1)
    ][::-1]


def approving(ask: Ask) -> list[dict[str, Any]]:
    """Whose newest opinion is an approval."""
    newest: dict[str, Any] = {}
    for review in ask.hub.reviews.list(ask.iid):
        if review.state != "COMMENTED":
            newest[review.person.login] = review
    return [{"user": ask.person(login)} for login, review in newest.items() if review.state == "APPROVED"]


def commit(found: CommitObject) -> dict[str, Any]:
    people = {"author": found.author, "committer": found.committer}
    told = {f"{role}_{part}": who[n] for role, who in people.items() for n, part in enumerate(("name", "email"))}
    at = {"authored_date": _date(found.author[2]), "committed_date": _date(found.committer[2])}
    title = found.message.split("\n", 1)[0]
    more = {"title": title, "message": found.message, "parent_ids": list(found.parents), "short_id": found.id[:8]}
    return {"id": found.id, **told, **at, **more, "created_at": at["committed_date"]}


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def status(ask: Ask, number: int, found: Status) -> dict[str, Any]:
    return {
        "id": number,
        "name": found.context,
        "status": SAID[found.state],
        "description": found.description or None,
        "target_url": found.url or None,
        "author": ask.person(found.author),
        "created_at": found.created.replace("Z", ".000Z"),
    }


def branch(ask: Ask, name: str, head: str) -> dict[str, Any]:
    is_protected = name in ask.state.protections
    return {"name": name, "commit": {"id": head}, "protected": is_protected, "default": name == "main"}


def protected_branch(ask: Ask, name: str) -> dict[str, Any]:
    rule = ask.state.protections[name]
    push = {"id": 1, "access_level": 0 if rule.pull_request else 40, "access_level_description": ""}
    merge = {"id": 2, "access_level": 40, "access_level_description": "Maintainers"}
    shown = {"id": 1, "name": name, "push_access_levels": [push], "merge_access_levels": [merge]}
    shown["allow_force_push"] = rule.may_rewrite
    return shown | ({"code_owner_approval_required": rule.code_owners} if ask.world.premium else {})


def refusals(ask: Ask, found: PullRecord) -> list[str]:
    """Statuses that keep it from being merged, beyond what the forge in memory looks at itself."""
    rule = ask.state.protections.get(found.pull.base.branch)
    said = list(checks(ask.state, found.pull.head.commit, rule)) if rule else []
    return said + (["pipeline must succeed"] if lacks_pipeline(ask, found.pull) else [])


def pipeline(world: World, found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "web_url": f"{world.url}/{world.forge.repository}/-/pipelines/{found['id']}"}
