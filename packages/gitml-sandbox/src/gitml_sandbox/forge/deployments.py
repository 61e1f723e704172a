"""Deployments and their statuses: what an agent reports of what it runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.forge.refusals import invalid, not_found

SCHEMA = """
CREATE TABLE IF NOT EXISTS deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    sha TEXT NOT NULL,
    ref TEXT NOT NULL,
    task TEXT NOT NULL,
    environment TEXT NOT NULL,
    description TEXT,
    payload TEXT NOT NULL,
    transient INTEGER NOT NULL,
    production INTEGER NOT NULL,
    creator_id INTEGER NOT NULL REFERENCES users(id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deployment_statuses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment_id INTEGER NOT NULL REFERENCES deployments(id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    environment TEXT NOT NULL,
    environment_url TEXT NOT NULL DEFAULT '',
    log_url TEXT NOT NULL DEFAULT '',
    creator_id INTEGER NOT NULL REFERENCES users(id),
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS deployment_statuses_of ON deployment_statuses (deployment_id);
"""

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


@dataclass(frozen=True)
class New:
    """What is deployed where. ``production`` None: yes for an environment of that name."""

    sha: str
    ref: str
    environment: str = "production"
    task: str = "deploy"
    description: str | None = None
    payload: Mapping[str, Any] | str = ""
    transient: bool = False
    production: bool | None = None


def create(tx: sqlite3.Connection, *, repo_id: int, new: New, creator_id: int, now: str) -> sqlite3.Row:
    """Add a deployment."""
    if not new.environment.strip() or len(new.environment) > 255:
        raise invalid("Deployment", "environment")
    production = new.environment == "production" if new.production is None else new.production
    done = tx.execute(
        "INSERT INTO deployments (repo_id, sha, ref, task, environment, description, payload, transient,"
        " production, creator_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            repo_id,
            new.sha,
            new.ref,
            new.task,
            new.environment,
            new.description,
            json.dumps(new.payload),
            int(new.transient),
            int(production),
            creator_id,
            now,
            now,
        ),
    )
    return get(tx, repo_id, int(done.lastrowid or 0))


def get(tx: sqlite3.Connection, repo_id: int, deployment_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM deployments WHERE repo_id = ? AND id = ?", (repo_id, deployment_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def listing(
    tx: sqlite3.Connection, repo_id: int, *, sha: str = "", ref: str = "", task: str = "", environment: str = ""
) -> list[sqlite3.Row]:
    """Newest first; an empty text is any."""
    return tx.execute(
        "SELECT * FROM deployments WHERE repo_id = ?1 AND (?2 = '' OR sha = ?2) AND (?3 = '' OR ref = ?3)"
        " AND (?4 = '' OR task = ?4) AND (?5 = '' OR environment = ?5) ORDER BY id DESC",
        (repo_id, sha, ref, task, environment),
    ).fetchall()


def add_status(
    tx: sqlite3.Connection,
    deployment: sqlite3.Row,
    *,
    given: Mapping[str, Any],
    creator_id: int,
    now: str,
) -> sqlite3.Row:
    """Add a status, and `inactive` ones to the older deployments that a success replaces.

    Only those of the same environment that are neither transient nor production are made inactive, as on GitHub.
    """
    if given["state"] not in STATES:
        raise invalid("DeploymentStatus", "state", "inclusion", value=given["state"])
    environment = given.get("environment") or deployment["environment"]
    links = (given.get("environment_url") or "", given.get("log_url") or given.get("target_url") or "")
    for name, link in zip(("environment_url", "log_url"), links, strict=True):
        if link and not link.startswith(("http://", "https://")):
            raise invalid("DeploymentStatus", name, "custom", f"{name} must use http(s) scheme")
    row = _insert(
        tx, deployment["id"], given["state"], (given.get("description") or "", environment, *links), (creator_id, now)
    )
    if environment != deployment["environment"]:
        tx.execute("UPDATE deployments SET environment = ? WHERE id = ?", (environment, deployment["id"]))
    if given["state"] == "success" and given.get("auto_inactive") is not False:
        _retire(tx, deployment, environment, (creator_id, now))
    return row


def _insert(
    tx: sqlite3.Connection, deployment_id: int, state: str, texts: tuple[str, str, str, str], stamp: tuple[int, str]
) -> sqlite3.Row:
    done = tx.execute(
        "INSERT INTO deployment_statuses (deployment_id, state, description, environment, environment_url, log_url,"
        " creator_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (deployment_id, state, *texts, *stamp),
    )
    tx.execute("UPDATE deployments SET updated_at = ? WHERE id = ?", (stamp[1], deployment_id))
    row: sqlite3.Row = tx.execute("SELECT * FROM deployment_statuses WHERE id = ?", (done.lastrowid,)).fetchone()
    return row


def _retire(tx: sqlite3.Connection, deployment: sqlite3.Row, environment: str, stamp: tuple[int, str]) -> None:
    older = tx.execute(
        "SELECT id FROM deployments WHERE repo_id = ? AND environment = ? AND id < ? AND transient = 0 AND"
        " production = 0 AND (SELECT state FROM deployment_statuses WHERE deployment_id = deployments.id"
        " ORDER BY id DESC LIMIT 1) = 'success'",
        (deployment["repo_id"], environment, deployment["id"]),
    ).fetchall()
    for row in older:
        _insert(tx, row["id"], "inactive", ("", environment, "", ""), stamp)


def statuses(tx: sqlite3.Connection, deployment_id: int) -> list[sqlite3.Row]:
    """Newest first."""
    return tx.execute(
        "SELECT * FROM deployment_statuses WHERE deployment_id = ? ORDER BY id DESC", (deployment_id,)
    ).fetchall()
