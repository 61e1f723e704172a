"""Environments: which refs may use them, and who must approve a job that does.

https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge import globs

SCHEMA = """
CREATE TABLE IF NOT EXISTS environments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    branches TEXT,
    protected_branches INTEGER NOT NULL DEFAULT 0,
    reviewers TEXT NOT NULL DEFAULT '[]',
    prevent_self_review INTEGER NOT NULL DEFAULT 0,
    wait_minutes INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (repo_id, name)
);
"""


@dataclass(frozen=True)
class Environment:
    """`branches` None lets every ref in; `protected_branches` lets only protected branches in."""

    id: int
    name: str
    branches: tuple[str, ...] | None
    protected_branches: bool
    reviewers: tuple[int, ...]
    prevent_self_review: bool
    wait_minutes: int
    created_at: str
    updated_at: str


def _environment(row: sqlite3.Row) -> Environment:
    branches = tuple(json.loads(row["branches"])) if row["branches"] is not None else None
    return Environment(
        id=row["id"],
        name=row["name"],
        branches=branches,
        protected_branches=bool(row["protected_branches"]),
        reviewers=tuple(json.loads(row["reviewers"])),
        prevent_self_review=bool(row["prevent_self_review"]),
        wait_minutes=row["wait_minutes"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def find(tx: sqlite3.Connection, repo_id: int, name: str) -> Environment | None:
    row = tx.execute("SELECT * FROM environments WHERE repo_id = ? AND name = ?", (repo_id, name)).fetchone()
    return _environment(row) if row else None


def listing(tx: sqlite3.Connection, repo_id: int) -> list[Environment]:
    rows = tx.execute("SELECT * FROM environments WHERE repo_id = ? ORDER BY name", (repo_id,))
    return [_environment(row) for row in rows]


def put(
    tx: sqlite3.Connection,
    *,
    repo_id: int,
    name: str,
    now: str,
    branches: Sequence[str] | None = None,
    protected_branches: bool = False,
) -> Environment:
    """Create an Environment or set which branches may use it; reviewers stay as they are."""
    if not name or len(name) > 255 or any(ord(c) < 32 for c in name):
        raise UsageError(f"{name!r} cannot be the name of an Environment", "1 to 255 printable characters")
    allowed = json.dumps(list(branches)) if branches is not None else None
    tx.execute(
        "INSERT INTO environments (repo_id, name, branches, protected_branches, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET branches = excluded.branches,"
        " protected_branches = excluded.protected_branches, updated_at = excluded.updated_at",
        (repo_id, name, allowed, int(protected_branches), now, now),
    )
    found = find(tx, repo_id, name)
    assert found is not None
    return found


def set_review(
    tx: sqlite3.Connection,
    environment: Environment,
    *,
    reviewers: Sequence[int],
    prevent_self: bool,
    minutes: int,
) -> None:
    """Who must approve a job (one of them is enough), whether the one who started it may, and how long it
    waits.
    """
    if len(reviewers) > 6 or not 0 <= minutes <= 43_200:
        raise UsageError("an Environment has at most 6 reviewers and waits at most 30 days")
    tx.execute(
        "UPDATE environments SET reviewers = ?, prevent_self_review = ?, wait_minutes = ? WHERE id = ?",
        (json.dumps(list(reviewers)), int(prevent_self), minutes, environment.id),
    )


def refusal(environment: Environment, ref: str, *, protected: bool) -> str:
    """Why a ref may not use the Environment; empty if it may. The ref is the one the run executes at."""
    name = ref.split("/", 2)[2] if ref.startswith(("refs/heads/", "refs/tags/")) else ref
    if environment.protected_branches:
        allowed = protected
    elif environment.branches is None:
        allowed = True
    else:
        allowed = ref.startswith(("refs/heads/", "refs/pull/")) and globs.selected(name, environment.branches)
    if allowed:
        return ""
    return f"{name or 'a bare commit'} is not allowed to use the environment {environment.name} by its rules"
