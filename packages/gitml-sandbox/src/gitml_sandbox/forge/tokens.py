"""Tokens: of people, of apps, of jobs. Only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from gitml_sandbox.errors import UsageError

SCHEMA = """
CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'app', 'job')),
    repo_id INTEGER REFERENCES repos(id) ON DELETE CASCADE,
    permissions TEXT,
    name TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    expires_at TEXT,
    revoked_at TEXT
);
"""

_PREFIX = {"user": "ghp_", "app": "ghs_", "job": "ghs_"}
_LEVELS = ("none", "read", "write")
# What a token can be limited to: the words of `permissions:` in a workflow file, and those of GitHub's apps.
PERMISSIONS = (
    "actions",
    "administration",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "environments",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "secrets",
    "security-events",
    "statuses",
    "workflows",
)


@dataclass(frozen=True)
class Token:
    """What a valid token stands for. ``permissions`` None: all that its user may do."""

    id: int
    user_id: int
    kind: str
    repo_id: int | None
    permissions: Mapping[str, str] | None

    def allows(self, permission: str, level: str, repo_id: int | None = None) -> bool:
        """Whether the token permits ``level`` ('read' or 'write'); the user's own rights come on top."""
        if self.repo_id is not None and repo_id is not None and repo_id != self.repo_id:
            return False
        if self.permissions is None:
            return True
        if permission == "metadata":
            return level == "read"
        given = self.permissions.get(permission, "none")
        return _LEVELS.index(given) >= _LEVELS.index(level)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def mint(
    tx: sqlite3.Connection,
    *,
    user_id: int,
    kind: str,
    repo_id: int | None = None,
    permissions: Mapping[str, str] | None = None,
    expires_at: str | None = None,
    name: str = "",
) -> str:
    """Make a token and return it: the only time that it can be seen. Times are ISO ...Z."""
    for word, level in (permissions or {}).items():
        if word not in PERMISSIONS or level not in _LEVELS:
            raise UsageError(f"{word}: {level} is no permission of a token", "known: " + ", ".join(PERMISSIONS))
    token = _PREFIX[kind] + secrets.token_urlsafe(27).replace("-", "A").replace("_", "B")
    limits = json.dumps(dict(permissions)) if permissions is not None else None
    tx.execute(
        "INSERT INTO tokens (digest, user_id, kind, repo_id, permissions, expires_at, name)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (digest(token), user_id, kind, repo_id, limits, expires_at, name),
    )
    return token


def find(tx: sqlite3.Connection, token: str, now: str) -> Token | None:
    """The token if it exists, is not revoked and has not expired at ``now`` (ISO ...Z)."""
    row = tx.execute(
        "SELECT * FROM tokens WHERE digest = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
        (digest(token), now),
    ).fetchone()
    if row is None:
        return None
    limits = json.loads(row["permissions"]) if row["permissions"] is not None else None
    return Token(row["id"], row["user_id"], row["kind"], row["repo_id"], limits)


def revoke(tx: sqlite3.Connection, token: str) -> None:
    """No effect on a token that does not exist."""
    _revoke(tx, "digest", digest(token))


def revoke_id(tx: sqlite3.Connection, token_id: int) -> bool:
    """Whether there was a token to revoke."""
    return _revoke(tx, "id", token_id)


def _revoke(tx: sqlite3.Connection, column: str, value: str | int) -> bool:
    now = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
    sql = f"UPDATE tokens SET revoked_at = {now} WHERE {column} = ? AND revoked_at IS NULL"  # noqa: S608
    return tx.execute(sql, (value,)).rowcount > 0


def listing(tx: sqlite3.Connection, user_id: int | None = None) -> list[sqlite3.Row]:
    """Tokens that are neither revoked nor a job's own; never the secret."""
    return tx.execute(
        "SELECT tokens.*, login FROM tokens JOIN users ON users.id = user_id WHERE revoked_at IS NULL"
        " AND kind <> 'job' AND (? IS NULL OR user_id = ?) ORDER BY tokens.id",
        (user_id, user_id),
    ).fetchall()
