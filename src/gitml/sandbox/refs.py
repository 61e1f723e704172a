"""The one way to change a ref, and the journal that keeps Git and the database agreeing through any kill."""

from __future__ import annotations

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS refs (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    ref TEXT NOT NULL,
    sha TEXT NOT NULL,
    PRIMARY KEY (repo_id, ref)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ref_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    actor_id INTEGER NOT NULL REFERENCES users(id),
    token_kind TEXT NOT NULL,
    changes TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
"""


def stored(tx: sqlite3.Connection, repo_id: int) -> dict[str, str]:
    """The refs as the database last saw them, without refs/pull/."""
    rows = tx.execute("SELECT ref, sha FROM refs WHERE repo_id = ? ORDER BY ref", (repo_id,))
    return {row["ref"]: row["sha"] for row in rows}
