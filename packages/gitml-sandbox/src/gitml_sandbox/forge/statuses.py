"""Commit statuses: what somebody says about a commit, under a name. The newest of a context counts."""

from __future__ import annotations

import sqlite3

from gitml_sandbox.forge import users
from gitml_sandbox.forge.refusals import invalid, unprocessable

SCHEMA = """
CREATE TABLE IF NOT EXISTS statuses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    sha TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('error', 'failure', 'pending', 'success')),
    context TEXT NOT NULL,
    description TEXT,
    target_url TEXT,
    creator_id INTEGER NOT NULL REFERENCES users(id),
    app_id INTEGER REFERENCES users(id),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE INDEX IF NOT EXISTS statuses_of ON statuses (repo_id, sha);
"""

STATES = ("error", "failure", "pending", "success")
# GitHub's limit per commit and context.
MAX_PER_CONTEXT = 1000
MAX_DESCRIPTION = 140


def create(
    tx: sqlite3.Connection,
    *,
    repo_id: int,
    sha: str,
    state: str,
    context: str,
    description: str | None,
    target_url: str | None,
    creator_id: int,
    now: str | None = None,
) -> sqlite3.Row:
    """Add a status to a commit. A bot's status has the bot as its source (``app_id``), a person's has none.

    Raises RefusalError 422.
    """
    _check(state, context, description, target_url)
    count = "SELECT count(*) AS n FROM statuses WHERE repo_id = ? AND sha = ? AND context = ?"
    if tx.execute(count, (repo_id, sha, context)).fetchone()["n"] >= MAX_PER_CONTEXT:
        raise unprocessable("Validation Failed", "This SHA and context has reached the maximum number of statuses.")
    bot = users.by_id(tx, creator_id).type == "Bot"
    done = tx.execute(
        "INSERT INTO statuses (repo_id, sha, state, context, description, target_url, creator_id, app_id, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, forge_now()))",
        (repo_id, sha, state, context, description, target_url, creator_id, creator_id if bot else None, now),
    )
    row: sqlite3.Row = tx.execute("SELECT * FROM statuses WHERE id = ?", (done.lastrowid,)).fetchone()
    return row


def _check(state: str, context: str, description: str | None, target_url: str | None) -> None:
    if state not in STATES:
        raise invalid("Status", "state", "inclusion", value=state)
    if not context or len(context) > 255:
        raise invalid("Status", "context", "invalid")
    if description is not None and len(description) > MAX_DESCRIPTION:
        raise invalid(
            "Status", "description", "custom", f"description is too long (maximum is {MAX_DESCRIPTION} characters)"
        )
    if target_url and not target_url.startswith(("http://", "https://")):
        raise invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")


def listing(tx: sqlite3.Connection, repo_id: int, sha: str) -> list[sqlite3.Row]:
    """All statuses of a commit, newest first."""
    return tx.execute(
        "SELECT * FROM statuses WHERE repo_id = ? AND sha = ? ORDER BY id DESC", (repo_id, sha)
    ).fetchall()


def latest(tx: sqlite3.Connection, repo_id: int, sha: str) -> list[sqlite3.Row]:
    """The newest of each context, newest first."""
    found: dict[str, sqlite3.Row] = {}
    for row in listing(tx, repo_id, sha):
        found.setdefault(row["context"], row)
    return list(found.values())


def newest_source(tx: sqlite3.Connection, repo_id: int, context: str) -> int | None:
    """The app that last posted this context in the repository, as a status or a check run; None: no app did."""
    row = tx.execute(
        "SELECT app_id FROM (SELECT app_id, created_at AS at FROM statuses WHERE repo_id = ?1 AND context = ?2"
        " UNION ALL SELECT app_id, created_at FROM check_runs WHERE repo_id = ?1 AND name = ?2)"
        " ORDER BY at DESC LIMIT 1",
        (repo_id, context),
    ).fetchone()
    return row["app_id"] if row else None
