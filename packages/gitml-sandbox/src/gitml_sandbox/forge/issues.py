"""Issues and labels. A pull request is an issue with a branch: both share one row of numbers, text and state."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import RefusalError, invalid, not_found

SCHEMA = """
CREATE TABLE IF NOT EXISTS issues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users(id),
    title TEXT NOT NULL,
    body TEXT,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    state_reason TEXT,
    is_pull INTEGER NOT NULL DEFAULT 0,
    app_id INTEGER REFERENCES users(id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    closed_at TEXT,
    closed_by INTEGER REFERENCES users(id),
    UNIQUE (repo_id, number)
);
CREATE TABLE IF NOT EXISTS labels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    color TEXT NOT NULL,
    description TEXT,
    UNIQUE (repo_id, name)
);
CREATE TABLE IF NOT EXISTS issue_labels (
    issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    PRIMARY KEY (issue_id, label_id)
);
CREATE TABLE IF NOT EXISTS assignees (
    issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    PRIMARY KEY (issue_id, user_id)
);
"""

MAX_TITLE = 256
MAX_BODY = 65536
DEFAULT_COLOR = "ededed"


def source(by: Actor) -> int | None:
    """The app that acts: a bot is its app."""
    return by.user.id if by.user.type == "Bot" else None


def checked_title(resource: str, title: str) -> str:
    if not title.strip():
        raise invalid(resource, "title", "missing_field")
    if len(title) > MAX_TITLE:
        raise invalid(resource, "title", "custom", f"title is too long (maximum is {MAX_TITLE} characters)")
    return title


def checked_body(resource: str, body: str | None) -> str | None:
    """GitHub's limit, counted in characters as it does."""
    if body is not None and len(body) > MAX_BODY:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {MAX_BODY} characters)")
    return body


def create(
    tx: sqlite3.Connection,
    *,
    repo_id: int,
    by: Actor,
    title: str,
    body: str | None,
    now: str,
    is_pull: bool = False,
) -> sqlite3.Row:
    """Take the next number of the repository. Numbers are never used twice."""
    resource = "PullRequest" if is_pull else "Issue"
    newest = tx.execute("SELECT max(number) AS n FROM issues WHERE repo_id = ?", (repo_id,)).fetchone()["n"]
    done = tx.execute(
        "INSERT INTO issues (repo_id, number, user_id, title, body, is_pull, app_id, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            repo_id,
            (newest or 0) + 1,
            by.user.id,
            checked_title(resource, title),
            checked_body(resource, body),
            int(is_pull),
            source(by),
            now,
            now,
        ),
    )
    return by_id(tx, int(done.lastrowid or 0))


def by_id(tx: sqlite3.Connection, issue_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute("SELECT * FROM issues WHERE id = ?", (issue_id,)).fetchone()
    if row is None:
        raise not_found()
    return row


def get(tx: sqlite3.Connection, repo_id: int, number: int) -> sqlite3.Row:
    """An issue or pull request by its number. Raises RefusalError 404."""
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM issues WHERE repo_id = ? AND number = ?", (repo_id, number)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


@dataclass(frozen=True)
class Wanted:
    """Filters of a listing; None: any. ``sort`` is a column, ``labels`` must all be there."""

    state: str = "open"
    labels: tuple[str, ...] = ()
    creator: int | None = None
    assignee: int | None = None
    since: str = ""
    sort: str = "created"
    ascending: bool = False


_SORTS = {"created": "issues.created_at", "updated": "issues.updated_at", "comments": "issues.id"}


def listing(tx: sqlite3.Connection, repo_id: int, wanted: Wanted) -> list[sqlite3.Row]:
    """Issues and pull requests, newest first unless asked otherwise."""
    order = "ASC" if wanted.ascending else "DESC"
    column = _SORTS[wanted.sort]
    rows = tx.execute(  # both words of the order come from our own tables
        "SELECT * FROM issues WHERE repo_id = ?1 AND (?2 = 'all' OR state = ?2)"  # noqa: S608
        " AND (?3 IS NULL OR user_id = ?3) AND updated_at >= ?4"
        " AND (?5 IS NULL OR id IN (SELECT issue_id FROM assignees WHERE user_id = ?5))"
        f" ORDER BY {column} {order}, issues.id {order}",
        (repo_id, wanted.state, wanted.creator, wanted.since, wanted.assignee),
    ).fetchall()
    needed = {name.lower() for name in wanted.labels}
    if not needed:
        return rows
    return [r for r in rows if needed <= {label["name"].lower() for label in labels_of(tx, r["id"])}]


def edit(tx: sqlite3.Connection, issue: sqlite3.Row, *, title: str | None, body: str | None, now: str) -> None:
    resource = "PullRequest" if issue["is_pull"] else "Issue"
    tx.execute(
        "UPDATE issues SET title = coalesce(?, title), body = coalesce(?, body), updated_at = ? WHERE id = ?",
        (
            checked_title(resource, title) if title is not None else None,
            checked_body(resource, body),
            now,
            issue["id"],
        ),
    )


def set_state(tx: sqlite3.Connection, issue_id: int, *, state: str, reason: str | None, by: Actor, now: str) -> None:
    closed = state == "closed"
    tx.execute(
        "UPDATE issues SET state = ?, state_reason = ?, closed_at = ?, closed_by = ?, updated_at = ? WHERE id = ?",
        (state, reason, now if closed else None, by.user.id if closed else None, now, issue_id),
    )


def touch(tx: sqlite3.Connection, issue_id: int, now: str) -> None:
    tx.execute("UPDATE issues SET updated_at = ? WHERE id = ?", (now, issue_id))


def add_label(
    tx: sqlite3.Connection, repo_id: int, name: str, color: str | None = None, description: str | None = None
) -> sqlite3.Row:
    """Create a label of the repository. Raises RefusalError 422 when it exists or is not allowed."""
    if not name.strip() or len(name) > 50:
        raise invalid("Label", "name", "invalid")
    shade = (color or DEFAULT_COLOR).lower()
    if not re.fullmatch(r"[0-9a-f]{6}", shade):
        raise invalid("Label", "color", "invalid")
    if description is not None and len(description) > 100:
        raise invalid("Label", "description", "invalid")
    if find_label(tx, repo_id, name) is not None:
        raise invalid("Label", "name", "already_exists")
    tx.execute(
        "INSERT INTO labels (repo_id, name, color, description) VALUES (?, ?, ?, ?)",
        (repo_id, name, shade, description),
    )
    found = find_label(tx, repo_id, name)
    if found is None:
        raise RefusalError(500, "the label was not kept")
    return found


def find_label(tx: sqlite3.Connection, repo_id: int, name: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM labels WHERE repo_id = ? AND name = ?", (repo_id, name)
    ).fetchone()
    return row


def repo_labels(tx: sqlite3.Connection, repo_id: int) -> list[sqlite3.Row]:
    return tx.execute("SELECT * FROM labels WHERE repo_id = ? ORDER BY id", (repo_id,)).fetchall()


def labels_of(tx: sqlite3.Connection, issue_id: int) -> list[sqlite3.Row]:
    return tx.execute(
        "SELECT labels.* FROM labels JOIN issue_labels ON label_id = labels.id WHERE issue_id = ? ORDER BY labels.id",
        (issue_id,),
    ).fetchall()


def put_labels(tx: sqlite3.Connection, issue: sqlite3.Row, names: Iterable[str]) -> list[sqlite3.Row]:
    """Add labels, creating those that the repository does not have; returns the ones that are new on the issue."""
    had = {row["id"] for row in labels_of(tx, issue["id"])}
    added = []
    for name in names:
        label = find_label(tx, issue["repo_id"], name) or add_label(tx, issue["repo_id"], name)
        if label["id"] not in had:
            tx.execute("INSERT INTO issue_labels VALUES (?, ?)", (issue["id"], label["id"]))
            had.add(label["id"])
            added.append(label)
    return added


def drop_label(tx: sqlite3.Connection, issue: sqlite3.Row, name: str) -> sqlite3.Row:
    """Take a label off. Raises RefusalError 404 when it is not on."""
    found = next((r for r in labels_of(tx, issue["id"]) if r["name"].lower() == name.lower()), None)
    if found is None:
        raise RefusalError(404, "Label does not exist")
    tx.execute("DELETE FROM issue_labels WHERE issue_id = ? AND label_id = ?", (issue["id"], found["id"]))
    return found


def assignees(tx: sqlite3.Connection, issue_id: int) -> list[int]:
    rows = tx.execute("SELECT user_id FROM assignees WHERE issue_id = ? ORDER BY user_id", (issue_id,))
    return [row["user_id"] for row in rows]


def set_assignees(tx: sqlite3.Connection, issue_id: int, user_ids: Sequence[int]) -> None:
    tx.execute("DELETE FROM assignees WHERE issue_id = ?", (issue_id,))
    tx.executemany("INSERT OR IGNORE INTO assignees VALUES (?, ?)", [(issue_id, u) for u in user_ids])
