"""The story of a pull request: comments, reviews, pushes and events in the order in which they happened."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gitml_sandbox.forge import comments, repos, reviews, users
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.users import User
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.reading import Commit
from gitml_sandbox.web import markdown as web_markdown
from gitml_sandbox.web.files import place_of
from gitml_sandbox.web.serve import Visit

MAX_COMMITS = 100
MAX_EVENTS = 1_000
_REVIEW_WORDS = {
    "APPROVED": "approved these changes",
    "CHANGES_REQUESTED": "asked for changes",
    "COMMENTED": "reviewed",
    "DISMISSED": "gave a review that was dismissed",
    "PENDING": "has a review that is not submitted yet",
}
_EVENT_WORDS = {
    "reopened": "reopened this",
    "ready_for_review": "marked this as ready for review",
    "converted_to_draft": "turned this into a draft",
}


@dataclass(frozen=True)
class Note:
    """A comment on a line of the difference."""

    id: int
    who: User
    path: str
    line: int | None
    side: str
    html: Markup
    at: str
    resolved_by: str
    resolved: bool


@dataclass(frozen=True)
class Item:
    """One step of the story. ``kind``: comment, review, push or event."""

    kind: str
    at: str
    who: User | None
    id: int = 0
    words: str = ""
    html: Markup | str = ""
    state: str = ""
    sha: str = ""
    detail: str = ""
    commits: tuple[Commit, ...] = ()
    notes: tuple[Note, ...] = ()
    stale: bool = False
    event: int = 0


def story(visit: Visit, pull: Pull) -> list[Item]:
    """Everything, oldest first."""
    bare = repos.path(visit.sandbox, visit.repo)
    items = [*_comments(visit, pull), *_reviews(visit, pull), *_events(visit, pull, bare)]
    order = _order(visit, pull)
    return sorted(items, key=lambda item: order.get((item.kind, item.id), item.event))


def _order(visit: Visit, pull: Pull) -> dict[tuple[str, int], float]:
    """When comments and reviews happened among the events: times alone are whole seconds."""
    rows = visit.tx.execute(
        "SELECT 'comment' AS kind, id AS of, after_event + 0.5 AS place FROM issue_comments WHERE issue_id = ?3"
        " UNION ALL SELECT 'review', json_extract(payload, '$.review.id'), id FROM events"
        " WHERE repo_id = ?1 AND name = 'pull_request_review' AND action = 'submitted'"
        " AND json_extract(payload, '$.pull_request.number') = ?2",
        (pull.repo_id, pull.number, pull.id),
    )
    return {(row["kind"], row["of"]): row["place"] for row in rows}


def _who(visit: Visit, user_id: int | None) -> User | None:
    return users.by_id(visit.tx, user_id) if user_id is not None else None


def _comments(visit: Visit, pull: Pull) -> list[Item]:
    place = place_of(visit)
    return [
        Item(
            "comment",
            row["created_at"],
            _who(visit, row["user_id"]),
            id=row["id"],
            html=web_markdown.render(row["body"], place),
            detail="edited" if row["updated_at"] != row["created_at"] else "",
        )
        for row in comments.of_issue(visit.tx, pull.id)
    ]


def notes(visit: Visit, pull: Pull) -> dict[int, list[Note]]:
    """Comments on lines, by review."""
    place = place_of(visit)
    found: dict[int, list[Note]] = {}
    for row in reviews.conversation(visit.tx, pull.id):
        resolver = _who(visit, row["resolved_by"])
        note = Note(
            id=row["id"],
            who=users.by_id(visit.tx, row["user_id"]),
            path=row["path"],
            line=row["line"],
            side=row["side"],
            html=web_markdown.render(row["body"], place),
            at=row["created_at"],
            resolved_by=resolver.login if resolver else "",
            resolved=row["resolved_at"] is not None,
        )
        found.setdefault(row["review_id"], []).append(note)
    return found


def _reviews(visit: Visit, pull: Pull) -> list[Item]:
    place, on_lines = place_of(visit), notes(visit, pull)
    viewer = visit.user.id if visit.user else None
    return [
        Item(
            "review",
            row["submitted_at"] or pull.updated_at,
            _who(visit, row["user_id"]),
            id=row["id"],
            words=_REVIEW_WORDS[row["state"]],
            html=web_markdown.render(row["body"], place) if row["body"] else "",
            state=row["state"],
            sha=row["commit_id"],
            detail=row["dismissal"] or "",
            notes=tuple(on_lines.get(row["id"], ())),
            stale=row["covers"] != pull.head_sha,
        )
        for row in reviews.listing(visit.tx, pull.id, viewer)
    ]


def _events(visit: Visit, pull: Pull, bare: Path) -> list[Item]:
    rows = visit.tx.execute(
        "SELECT id, action, actor_id, created_at, json_extract(payload, '$.before') AS before,"
        " json_extract(payload, '$.after') AS after, json_extract(payload, '$.pull_request.head.sha') AS head,"
        " json_extract(payload, '$.changes') AS changes, json_extract(payload, '$.label.name') AS label,"
        " json_extract(payload, '$.requested_reviewer.login') AS asked,"
        " json_extract(payload, '$.requested_team.name') AS team,"
        " json_extract(payload, '$.pull_request.merged') AS merged"
        " FROM events WHERE repo_id = ? AND name = 'pull_request' AND json_extract(payload, '$.number') = ?"
        " ORDER BY id LIMIT ?",
        (pull.repo_id, pull.number, MAX_EVENTS),
    )
    found = ((row["id"], _event(visit, pull, bare, row)) for row in rows)
    return [replace(item, event=number) for number, item in found if item is not None]


def _event(visit: Visit, pull: Pull, bare: Path, row: sqlite3.Row) -> Item | None:
    action, who, at = row["action"], _who(visit, row["actor_id"]), row["created_at"]
    if action == "opened":
        start = gitrepo.merge_base(bare, pull.base_sha, row["head"]) if _there(bare, row["head"]) else None
        return Item("push", at, who, words="began with", commits=_commits(bare, start, row["head"]))
    if action == "synchronize":
        return _push(bare, row, who)
    if action == "closed":
        words = f"merged this into {pull.base_ref}" if row["merged"] else "closed this"
        sha = pull.merge_commit_sha or "" if row["merged"] else ""
        return Item("event", at, who, words=words, sha=sha, state="merged" if row["merged"] else "closed")
    words = _EVENT_WORDS.get(action, "") or _named(action, row)
    return Item("event", at, who, words=words, state=action) if words else None


def _named(action: str, row: sqlite3.Row) -> str:
    changes: dict[str, Any] = json.loads(row["changes"]) if row["changes"] else {}
    if action == "review_requested":
        return f"asked {row['asked'] or row['team'] or 'somebody'} for a review"
    if action in ("labeled", "unlabeled") and row["label"]:
        return f"{'added' if action == 'labeled' else 'removed'} the label {row['label']}"
    if action == "edited" and "title" in changes:
        return f"changed the title from “{changes['title']['from']}”"
    if action == "edited" and "base" in changes:
        return f"changed the base from {changes['base']['ref']['from']}"
    return ""


def _push(bare: Path, row: sqlite3.Row, who: User | None) -> Item:
    before, after = row["before"], row["after"]
    if _there(bare, before) and _there(bare, after) and gitrepo.is_ancestor(bare, before, after):
        return Item("push", row["created_at"], who, words="pushed", commits=_commits(bare, before, after))
    words = f"force-pushed: the head was {before[:7]} and is now {after[:7]}"
    return Item("event", row["created_at"], who, words=words, state="forced")


def _there(bare: Path, sha: str | None) -> bool:
    return bool(sha) and gitrepo.resolve(bare, str(sha)) is not None


def _commits(bare: Path, old: str | None, new: str) -> tuple[Commit, ...]:
    if not _there(bare, new):
        return ()
    return tuple(gitview.commits(bare, gitrepo.commits_between(bare, old, new, limit=MAX_COMMITS)))


def head_repo_name(visit: Visit, pull: Pull) -> str:
    """owner:branch where the head is of a fork, the branch otherwise."""
    if pull.head_repo_id == pull.repo_id:
        return pull.head_ref
    owner = repos.by_id(visit.tx, pull.head_repo_id).owner if pull.head_repo_id else "unknown repository"
    return f"{owner}:{pull.head_ref}"
