"""Concurrency groups: one holder runs, one waits, and a newer one takes the place of the one that waits.

On GitHub a holder begins at once. Here it may wait for a machine; until it has begun, a newer one takes its place, too.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#concurrency
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gitml_sandbox.actions.job_expansion import Concurrency

_TABLES = ("runs", "jobs")
_NOT_BEGUN = ("pending", "queued")
# Runs and jobs of a repository share one name space of groups.
_IN_GROUP = {
    "runs": "SELECT id, status FROM runs WHERE repo_id = ? AND concurrency = ? AND status <> 'completed'",
    "jobs": "SELECT jobs.id, jobs.status FROM jobs JOIN runs ON runs.id = run_id WHERE repo_id = ?"
    " AND jobs.concurrency = ? AND jobs.status NOT IN ('completed', 'planned')",
}


def members(tx: sqlite3.Connection, repo_id: int, group: str) -> Iterator[tuple[str, int, str]]:
    """(table, id, status) of everything in a group that is not over."""
    for table in _TABLES:
        for row in tx.execute(_IN_GROUP[table], (repo_id, group)).fetchall():
            yield table, row["id"], row["status"]


def enter(tx: sqlite3.Connection, repo_id: int, wanted: Concurrency, *, table: str, row_id: int) -> str:
    """Enter a group and return the status to begin with: 'queued' if it is free, else 'pending'.

    Whoever has not begun is cancelled; whoever runs is, too, if `cancel-in-progress` says so.
    """
    others = [m for m in members(tx, repo_id, wanted.group) if m[:2] != (table, row_id)]
    for other, other_id, status in others:
        if status in _NOT_BEGUN or wanted.cancel:
            reason = f"a newer run entered the concurrency group {wanted.group}"
            tx.execute(
                f"UPDATE {other} SET cancel_asked = 1, reason = ? WHERE id = ?",  # noqa: S608
                (reason, other_id),
            )
    return "pending" if others else "queued"


def free(tx: sqlite3.Connection, repo_id: int, group: str, *, table: str, row_id: int) -> bool:
    """Whether one that waits can go on: nobody else in the group runs or waits since longer."""
    for other, other_id, status in members(tx, repo_id, group):
        if (other, other_id) == (table, row_id):
            continue
        if status != "pending" or (other == table and other_id < row_id):
            return False
    return True
