"""What happened, in GitHub's webhook format, written in the transaction of the change itself."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    action TEXT NOT NULL DEFAULT '',
    actor_id INTEGER REFERENCES users(id),
    token_kind TEXT NOT NULL CHECK (token_kind IN ('user', 'app', 'job')),
    ref TEXT NOT NULL DEFAULT '',
    sha TEXT NOT NULL DEFAULT '',
    pull_id INTEGER,
    payload TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    handled_at TEXT
);
CREATE INDEX IF NOT EXISTS events_open ON events (id) WHERE handled_at IS NULL;
"""


def emit(
    tx: sqlite3.Connection,
    *,
    repo_id: int,
    name: str,
    action: str = "",
    actor_id: int | None,
    token_kind: str,
    ref: str = "",
    sha: str = "",
    pull_id: int | None = None,
    payload: Mapping[str, Any],
) -> int:
    """Add one event and return its id. ``token_kind`` ('user', 'app', 'job') decides what it starts; ``pull_id`` is the
    pull request whose merge a push is.
    """
    done = tx.execute(
        "INSERT INTO events (repo_id, name, action, actor_id, token_kind, ref, sha, pull_id, payload, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, forge_now())",
        (repo_id, name, action, actor_id, token_kind, ref, sha, pull_id, json.dumps(payload, allow_nan=False)),
    )
    return int(done.lastrowid or 0)


def labeled(tx: sqlite3.Connection, repo_id: int, number: int) -> list[sqlite3.Row]:
    """When somebody put a label on a pull request, the first one first."""
    return tx.execute(
        "SELECT * FROM events WHERE repo_id = ? AND name = 'pull_request' AND action = 'labeled'"
        " AND json_extract(payload, '$.number') = ? ORDER BY id",
        (repo_id, number),
    ).fetchall()
