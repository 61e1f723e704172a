"""Tables of runs, jobs, schedules and artifacts, and how to read them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    event_id INTEGER,
    workflow_id INTEGER NOT NULL REFERENCES workflows(id),
    run_number INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    event TEXT NOT NULL,
    action TEXT NOT NULL DEFAULT '',
    ref TEXT NOT NULL,
    sha TEXT NOT NULL,
    head_branch TEXT NOT NULL DEFAULT '',
    head_sha TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'queued', 'in_progress', 'waiting', 'completed')),
    conclusion TEXT,
    reason TEXT NOT NULL DEFAULT '',
    actor_id INTEGER NOT NULL REFERENCES users(id),
    token_kind TEXT NOT NULL,
    fork INTEGER NOT NULL DEFAULT 0,
    chain INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL,
    workflow TEXT NOT NULL,
    concurrency TEXT NOT NULL DEFAULT '',
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_of_repo ON runs (repo_id, id);
CREATE INDEX IF NOT EXISTS runs_open ON runs (id) WHERE status <> 'completed';
CREATE TABLE IF NOT EXISTS workflows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    runs INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (repo_id, path)
);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    matrix TEXT,
    labels TEXT NOT NULL DEFAULT '[]',
    status TEXT NOT NULL
        CHECK (status IN ('planned', 'waiting', 'pending', 'queued', 'in_progress', 'completed')),
    conclusion TEXT,
    reason TEXT NOT NULL DEFAULT '',
    forgiven INTEGER NOT NULL DEFAULT 0,
    fail_fast INTEGER NOT NULL DEFAULT 1,
    max_parallel INTEGER NOT NULL DEFAULT 0,
    minutes REAL NOT NULL DEFAULT 360,
    environment TEXT NOT NULL DEFAULT '',
    concurrency TEXT NOT NULL DEFAULT '',
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    outputs TEXT NOT NULL DEFAULT '{}',
    steps TEXT NOT NULL DEFAULT '[]',
    runner TEXT NOT NULL DEFAULT '',
    deployment_id INTEGER,
    created_at TEXT NOT NULL,
    started_at TEXT,
    completed_at TEXT
);
CREATE INDEX IF NOT EXISTS jobs_of_run ON jobs (run_id, id);
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (id) WHERE status <> 'completed';
CREATE TABLE IF NOT EXISTS schedules (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    cron TEXT NOT NULL,
    seen_until TEXT NOT NULL,
    PRIMARY KEY (repo_id, path, cron)
);
CREATE TABLE IF NOT EXISTS artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    digest TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    UNIQUE (run_id, name)
);
CREATE TABLE IF NOT EXISTS actions_settings (
    repo_id INTEGER PRIMARY KEY REFERENCES repos(id) ON DELETE CASCADE,
    default_permissions TEXT NOT NULL DEFAULT 'read' CHECK (default_permissions IN ('read', 'write'))
);
"""


def columns(values: Mapping[str, Any]) -> tuple[str, str, tuple[Any, ...]]:
    """The names, the question marks and the values of an INSERT."""
    return ", ".join(values), ", ".join("?" * len(values)), tuple(values.values())


def insert(tx: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Insert a row (names are the code's own, never a caller's input) and return its id."""
    names, marks, row = columns(values)
    return int(tx.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row).lastrowid or 0)  # noqa: S608


def change(tx: sqlite3.Connection, table: str, row_id: int, **values: Any) -> None:
    """Update columns of one row."""
    sets = ", ".join(f"{name} = ?" for name in values)
    tx.execute(f"UPDATE {table} SET {sets} WHERE id = ?", (*values.values(), row_id))  # noqa: S608


def run_row(tx: sqlite3.Connection, run_id: int) -> sqlite3.Row | None:
    """A run with the names of its workflow, actor and repository."""
    row: sqlite3.Row | None = tx.execute(_RUN + " WHERE runs.id = ?", (run_id,)).fetchone()
    return row


def open_runs(tx: sqlite3.Connection) -> list[sqlite3.Row]:
    """Every run that is not completed, oldest first."""
    return tx.execute(_RUN + " WHERE runs.status <> 'completed' ORDER BY runs.id").fetchall()


_RUN = """
SELECT runs.*, workflows.path AS path, runs.name AS workflow_name, users.login AS actor
FROM runs JOIN workflows ON workflows.id = workflow_id JOIN users ON users.id = actor_id
"""


def jobs_of(tx: sqlite3.Connection, run: sqlite3.Row, attempt: int | None = None) -> list[sqlite3.Row]:
    """The jobs of one attempt of a run (the newest by default), in the order they were planned."""
    wanted = run["attempt"] if attempt is None else attempt
    found = tx.execute("SELECT * FROM jobs WHERE run_id = ? AND attempt = ? ORDER BY id", (run["id"], wanted))
    return found.fetchall()


def job_row(tx: sqlite3.Connection, job_id: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = tx.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return row


def workflow_id(tx: sqlite3.Connection, repo_id: int, path: str, name: str, now: str) -> int:
    """The lasting id of a workflow file of a repository; its name follows the newest run."""
    tx.execute(
        "INSERT INTO workflows (repo_id, path, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (repo_id, path) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at",
        (repo_id, path, name, now, now),
    )
    row = tx.execute("SELECT id FROM workflows WHERE repo_id = ? AND path = ?", (repo_id, path)).fetchone()
    return int(row["id"])


def next_run_number(tx: sqlite3.Connection, workflow: int) -> int:
    """Count a run of a workflow; numbers are never used twice."""
    tx.execute("UPDATE workflows SET runs = runs + 1 WHERE id = ?", (workflow,))
    return int(tx.execute("SELECT runs FROM workflows WHERE id = ?", (workflow,)).fetchone()["runs"])


def default_permissions(tx: sqlite3.Connection, repo_id: int) -> str:
    """'read' or 'write': what a job's token may do when the workflow does not say."""
    row = tx.execute("SELECT default_permissions FROM actions_settings WHERE repo_id = ?", (repo_id,)).fetchone()
    return str(row["default_permissions"]) if row else "read"


def loads(row: sqlite3.Row, column: str) -> Any:
    """A JSON column."""
    return json.loads(row[column])
