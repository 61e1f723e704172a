"""Comments: on issues and pull requests, and on single commits."""

from __future__ import annotations

import sqlite3

from gitml_sandbox.forge.issues import MAX_BODY, source, touch
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import invalid, not_found

SCHEMA = """
CREATE TABLE IF NOT EXISTS issue_comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id),
    app_id INTEGER REFERENCES users(id),
    body TEXT NOT NULL,
    after_event INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS issue_comments_of ON issue_comments (issue_id);
CREATE TABLE IF NOT EXISTS commit_comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    sha TEXT NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users(id),
    body TEXT NOT NULL,
    path TEXT,
    line INTEGER,
    position INTEGER,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS commit_comments_of ON commit_comments (repo_id, sha);
"""


def _checked(resource: str, body: str) -> str:
    if not body.strip():
        raise invalid(resource, "body", "missing_field")
    if len(body) > MAX_BODY:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {MAX_BODY} characters)")
    return body


def add(tx: sqlite3.Connection, *, issue_id: int, by: Actor, body: str, now: str) -> sqlite3.Row:
    """Add a comment to an issue or pull request. It remembers the event before it: times are whole seconds."""
    done = tx.execute(
        "INSERT INTO issue_comments (issue_id, user_id, app_id, body, after_event, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, (SELECT coalesce(max(id), 0) FROM events), ?, ?)",
        (
            issue_id,
            by.user.id,
            source(by),
            _checked("IssueComment", body),
            now,
            now,
        ),
    )
    touch(tx, issue_id, now)
    row: sqlite3.Row = tx.execute("SELECT * FROM issue_comments WHERE id = ?", (done.lastrowid,)).fetchone()
    return row


def get(tx: sqlite3.Connection, repo_id: int, comment_id: int) -> sqlite3.Row:
    """A comment of this repository. Raises RefusalError 404."""
    row: sqlite3.Row | None = tx.execute(
        "SELECT issue_comments.* FROM issue_comments JOIN issues ON issues.id = issue_id"
        " WHERE repo_id = ? AND issue_comments.id = ?",
        (repo_id, comment_id),
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def of_issue(tx: sqlite3.Connection, issue_id: int, since: str = "") -> list[sqlite3.Row]:
    """Oldest first."""
    return tx.execute(
        "SELECT * FROM issue_comments WHERE issue_id = ? AND updated_at >= ? ORDER BY id", (issue_id, since)
    ).fetchall()


def of_repo(tx: sqlite3.Connection, repo_id: int, since: str = "") -> list[sqlite3.Row]:
    """On all issues and pull requests of a repository, oldest first."""
    return tx.execute(
        "SELECT issue_comments.* FROM issue_comments JOIN issues ON issues.id = issue_id"
        " WHERE repo_id = ? AND issue_comments.updated_at >= ? ORDER BY issue_comments.id",
        (repo_id, since),
    ).fetchall()


def count(tx: sqlite3.Connection, issue_id: int) -> int:
    sql = "SELECT count(*) AS n FROM issue_comments WHERE issue_id = ?"
    return int(tx.execute(sql, (issue_id,)).fetchone()["n"])


def edit(tx: sqlite3.Connection, comment_id: int, *, body: str, now: str) -> None:
    tx.execute(
        "UPDATE issue_comments SET body = ?, updated_at = ? WHERE id = ?",
        (_checked("IssueComment", body), now, comment_id),
    )


def delete(tx: sqlite3.Connection, comment_id: int) -> None:
    tx.execute("DELETE FROM issue_comments WHERE id = ?", (comment_id,))


def add_to_commit(
    tx: sqlite3.Connection,
    *,
    repo_id: int,
    sha: str,
    by: Actor,
    body: str,
    now: str,
    place: tuple[str | None, int | None, int | None] = (None, None, None),
) -> sqlite3.Row:
    """Comment on a commit; ``place`` is path, line and position in the difference."""
    done = tx.execute(
        "INSERT INTO commit_comments (repo_id, sha, user_id, body, path, line, position, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (repo_id, sha, by.user.id, _checked("CommitComment", body), *place, now, now),
    )
    return commit_comment(tx, repo_id, int(done.lastrowid or 0))


def commit_comment(tx: sqlite3.Connection, repo_id: int, comment_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM commit_comments WHERE repo_id = ? AND id = ?", (repo_id, comment_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def of_commit(tx: sqlite3.Connection, repo_id: int, sha: str) -> list[sqlite3.Row]:
    return tx.execute(
        "SELECT * FROM commit_comments WHERE repo_id = ? AND sha = ? ORDER BY id", (repo_id, sha)
    ).fetchall()


def on_commits(tx: sqlite3.Connection, repo_id: int) -> list[sqlite3.Row]:
    """On all commits of a repository."""
    return tx.execute("SELECT * FROM commit_comments WHERE repo_id = ? ORDER BY id", (repo_id,)).fetchall()


def edit_commit_comment(tx: sqlite3.Connection, comment_id: int, *, body: str, now: str) -> None:
    tx.execute(
        "UPDATE commit_comments SET body = ?, updated_at = ? WHERE id = ?",
        (_checked("CommitComment", body), now, comment_id),
    )


def delete_commit_comment(tx: sqlite3.Connection, comment_id: int) -> None:
    tx.execute("DELETE FROM commit_comments WHERE id = ?", (comment_id,))
