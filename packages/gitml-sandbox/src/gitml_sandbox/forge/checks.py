"""Check runs: what an app says about a commit, with a report. And all results of a commit, as the rules see them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from gitml_sandbox.forge.protections import Checks
from gitml_sandbox.forge.refusals import invalid, not_found
from gitml_sandbox.forge.rules import Result, check_reasons, check_run_state

SCHEMA = """
CREATE TABLE IF NOT EXISTS check_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    sha TEXT NOT NULL,
    name TEXT NOT NULL,
    app_id INTEGER NOT NULL REFERENCES users(id),
    status TEXT NOT NULL,
    conclusion TEXT,
    details_url TEXT,
    external_id TEXT NOT NULL DEFAULT '',
    output TEXT NOT NULL DEFAULT '{}',
    started_at TEXT,
    completed_at TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS check_runs_of ON check_runs (repo_id, sha);
"""

CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
MAX_TEXT = 65535


def create(
    tx: sqlite3.Connection, *, repo_id: int, sha: str, app_id: int, given: Mapping[str, Any], now: str
) -> sqlite3.Row:
    """Add a check run. ``given`` is GitHub's request body. Raises RefusalError 422."""
    values = {"status": "queued", "external_id": "", **_values(given, now)}
    values |= {"repo_id": repo_id, "sha": sha, "app_id": app_id, "created_at": now}
    values.setdefault("started_at", now)
    return get(tx, repo_id, _insert(tx, values))


def _insert(tx: sqlite3.Connection, values: Mapping[str, Any]) -> int:
    names = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    done = tx.execute(f"INSERT INTO check_runs ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    return int(done.lastrowid or 0)


def update(tx: sqlite3.Connection, run: sqlite3.Row, *, given: Mapping[str, Any], now: str) -> sqlite3.Row:
    """Change what is given, keep the rest; annotations are added. Raises RefusalError 422."""
    values = _values(given, now, json.loads(run["output"]))
    if values.get("status") in ("queued", "in_progress"):
        values |= {"conclusion": None, "completed_at": None}
    if values:
        sets = ", ".join(f"{name} = ?" for name in values)
        tx.execute(f"UPDATE check_runs SET {sets} WHERE id = ?", (*values.values(), run["id"]))  # noqa: S608
    return get(tx, run["repo_id"], run["id"])


def _values(given: Mapping[str, Any], now: str, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Columns from the request body: only names listed here reach SQL."""
    plain = ("name", "status", "details_url", "external_id", "started_at", "completed_at", "conclusion")
    values = {name: given[name] for name in plain if given.get(name) is not None}
    if "name" in values and not values["name"].strip():
        raise invalid("CheckRun", "name", "missing_field")
    conclusion = values.get("conclusion")
    if conclusion is not None:
        if conclusion not in CONCLUSIONS:
            raise invalid("CheckRun", "conclusion", "invalid", value=conclusion)
        values["status"] = "completed"
        values.setdefault("completed_at", now)
    elif values.get("status") == "completed":
        raise invalid("CheckRun", "conclusion", "missing_field")
    if given.get("output") is not None:
        values["output"] = json.dumps(_output(given["output"], before or {}))
    return values


def _output(given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("summary", "text"):
        if len(given.get(name) or "") > MAX_TEXT:
            raise invalid("CheckRun", name, "custom", f"{name} exceeds the maximum of {MAX_TEXT} characters")
    annotations = given.get("annotations") or []
    if len(annotations) > 50:
        raise invalid("CheckRun", "annotations", "custom", "at most 50 annotations a request")
    kept = {k: v for k, v in given.items() if k in ("title", "summary", "text")}
    return {**before, **kept, "annotations": [*before.get("annotations", []), *annotations]}


def get(tx: sqlite3.Connection, repo_id: int, run_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM check_runs WHERE repo_id = ? AND id = ?", (repo_id, run_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def listing(tx: sqlite3.Connection, repo_id: int, sha: str, *, latest: bool = True) -> list[sqlite3.Row]:
    """Check runs of a commit, newest first; ``latest``: only the newest of each name and app."""
    rows = tx.execute(
        "SELECT * FROM check_runs WHERE repo_id = ? AND sha = ? ORDER BY id DESC", (repo_id, sha)
    ).fetchall()
    if not latest:
        return rows
    found: dict[tuple[str, int], sqlite3.Row] = {}
    for row in rows:
        found.setdefault((row["name"], row["app_id"]), row)
    return list(found.values())


def results(tx: sqlite3.Connection, repo_id: int, sha: str) -> tuple[Result, ...]:
    """Statuses and check runs of a commit, oldest first."""
    said = tx.execute(
        "SELECT context, state, app_id FROM statuses WHERE repo_id = ? AND sha = ? ORDER BY id", (repo_id, sha)
    )
    runs = reversed(listing(tx, repo_id, sha))
    return (
        *(Result(r["context"], r["state"], r["app_id"]) for r in said),
        *(
            Result(r["name"], check_run_state(r["status"], r["conclusion"]), r["app_id"], is_check_run=True)
            for r in runs
        ),
    )


def missing(tx: sqlite3.Connection, repo_id: int, sha: str, required: Checks) -> Iterator[str]:
    """What a commit still lacks of the required checks, in GitHub's words."""
    for reason in check_reasons(results(tx, repo_id, sha), required.checks):
        yield reason.message
