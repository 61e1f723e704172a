"""Branch protection: what is asked of a branch, stored per exact branch name, in GitHub's words."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = """
CREATE TABLE IF NOT EXISTS protections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    branch TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (repo_id, branch)
);
"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Actors(_Frozen):
    """Logins of people, slugs of teams, names of apps (a bot's login without [bot])."""

    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()


class Reviews(_Frozen):
    dismissal_restrictions: Actors | None = None
    bypass_pull_request_allowances: Actors = Actors()
    dismiss_stale_reviews: bool = False
    require_code_owner_reviews: bool = False
    require_last_push_approval: bool = False
    required_approving_review_count: int = Field(default=1, ge=0, le=6)


class Check(_Frozen):
    """A required status or check run. ``app_id`` None: whoever posts it."""

    context: str = Field(min_length=1)
    app_id: int | None = None


class Checks(_Frozen):
    strict: bool = False
    checks: tuple[Check, ...] = ()


class Protection(_Frozen):
    """All that can be asked of one branch."""

    required_status_checks: Checks | None = None
    required_pull_request_reviews: Reviews | None = None
    restrictions: Actors | None = None
    enforce_admins: bool = False
    required_linear_history: bool = False
    allow_force_pushes: bool = False
    allow_deletions: bool = False
    block_creations: bool = False
    required_conversation_resolution: bool = False
    lock_branch: bool = False
    allow_fork_syncing: bool = False


def find(tx: sqlite3.Connection, repo_id: int, branch: str) -> Protection | None:
    row = tx.execute("SELECT body FROM protections WHERE repo_id = ? AND branch = ?", (repo_id, branch)).fetchone()
    return Protection.model_validate_json(row["body"]) if row else None


def save(tx: sqlite3.Connection, repo_id: int, branch: str, protection: Protection) -> None:
    tx.execute(
        "INSERT INTO protections (repo_id, branch, body) VALUES (?, ?, ?)"
        " ON CONFLICT (repo_id, branch) DO UPDATE SET body = excluded.body",
        (repo_id, branch, protection.model_dump_json()),
    )


def delete(tx: sqlite3.Connection, repo_id: int, branch: str) -> bool:
    """Whether there was one."""
    done = tx.execute("DELETE FROM protections WHERE repo_id = ? AND branch = ?", (repo_id, branch))
    return done.rowcount > 0


def branches(tx: sqlite3.Connection, repo_id: int) -> dict[str, Protection]:
    rows = tx.execute("SELECT branch, body FROM protections WHERE repo_id = ? ORDER BY branch", (repo_id,))
    return {row["branch"]: Protection.model_validate_json(row["body"]) for row in rows}


def from_request(body: dict[str, Any]) -> Protection:
    """GitHub's request body. Raises pydantic.ValidationError."""
    kept = {k: v for k, v in json.loads(json.dumps(body)).items() if v is not None}
    checks = kept.get("required_status_checks")
    if isinstance(checks, dict):
        kept["required_status_checks"] = _checks(checks)
    reviews = kept.get("required_pull_request_reviews")
    if isinstance(reviews, dict):
        # An empty object means: no limit on who dismisses.
        kept["required_pull_request_reviews"] = {k: v for k, v in reviews.items() if v not in ({}, None)}
    return Protection.model_validate(kept)


def _checks(given: dict[str, Any]) -> dict[str, Any]:
    """`contexts` is the old list of names, `checks` the new one with the app (-1: whoever): what either asks holds."""
    listed = [c for c in given.get("checks") or [] if c is not None]
    named = {c.get("context") for c in listed if isinstance(c, dict)}
    listed += [{"context": c} for c in given.get("contexts") or [] if c not in named]
    plain = [{**c, "app_id": None} if isinstance(c, dict) and c.get("app_id") == -1 else c for c in listed]
    rest = {k: v for k, v in given.items() if k not in ("checks", "contexts")}
    return {**rest, "checks": plain}
