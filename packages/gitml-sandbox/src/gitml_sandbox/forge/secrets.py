"""Secrets and variables: of a repository or of one Environment. Secrets are encrypted at rest and never read
back.
"""

from __future__ import annotations

import os
import re
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from gitml_sandbox.errors import OutsideError, UsageError

SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    environment TEXT NOT NULL DEFAULT '' COLLATE NOCASE,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (repo_id, environment, name)
);
CREATE TABLE IF NOT EXISTS variables (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    environment TEXT NOT NULL DEFAULT '' COLLATE NOCASE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (repo_id, environment, name)
);
"""

MAX_BYTES = 48 * 1024  # GitHub's limit
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


def key(root: Path) -> Fernet:
    """The key of this sandbox, made on first use (mode 0600, beside the database, never in it)."""
    path = root / "secrets.key"
    if not path.exists():
        fresh = path.with_name(f".secrets.key.{uuid.uuid4().hex}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # fails when another thread or process was first: its key is the one
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return Fernet(path.read_bytes())


def checked_name(name: str) -> str:
    """GitHub's rule for names of secrets and variables; they are kept in upper case."""
    if not _NAME.fullmatch(name) or name.upper().startswith("GITHUB_"):
        raise UsageError(
            f"{name!r} cannot be the name of a secret or variable",
            "letters, digits and _, not starting with a digit or GITHUB_",
        )
    return name.upper()


@dataclass(frozen=True)
class Secret:
    """``environment`` empty: a secret of the repository."""

    repo_id: int
    name: str
    value: str
    environment: str = ""


def put(tx: sqlite3.Connection, root: Path, secret: Secret, *, now: str) -> None:
    """Set a secret. Raises UsageError for a bad name or a value that is empty or too long."""
    plain = secret.value.encode()
    if not plain or len(plain) > MAX_BYTES:
        raise UsageError("a secret must hold something", f"between 1 byte and {MAX_BYTES // 1024} KiB")
    tx.execute(
        "INSERT INTO secrets (repo_id, environment, name, sealed, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at",
        (secret.repo_id, secret.environment, checked_name(secret.name), key(root).encrypt(plain), now, now),
    )


def delete(tx: sqlite3.Connection, *, repo_id: int, name: str, environment: str = "") -> bool:
    """True if there was such a secret."""
    done = tx.execute(
        "DELETE FROM secrets WHERE repo_id = ? AND environment = ? AND name = ?",
        (repo_id, environment, name.upper()),
    )
    return done.rowcount > 0


def names(tx: sqlite3.Connection, repo_id: int, environment: str = "") -> list[sqlite3.Row]:
    """Names and times, never values."""
    return tx.execute(
        "SELECT name, created_at, updated_at FROM secrets WHERE repo_id = ? AND environment = ? ORDER BY name",
        (repo_id, environment),
    ).fetchall()


def reveal(tx: sqlite3.Connection, root: Path, repo_id: int, environment: str = "") -> dict[str, str]:
    """What one job may see: the repository's secrets, overridden by those of its Environment."""
    scopes = ("", environment) if environment else ("",)
    found: dict[str, str] = {}
    for scope in scopes:
        rows = tx.execute(
            "SELECT name, sealed FROM secrets WHERE repo_id = ? AND environment = ?", (repo_id, scope)
        ).fetchall()
        found.update({row["name"]: _open(root, row["name"], row["sealed"]) for row in rows})
    return found


def _open(root: Path, name: str, sealed: bytes) -> str:
    try:
        return key(root).decrypt(sealed).decode()
    except InvalidToken as exc:
        raise OutsideError(
            f"the secret {name} cannot be decrypted with secrets.key", "set it again: gitml sandbox secret"
        ) from exc


def put_variable(
    tx: sqlite3.Connection, *, repo_id: int, name: str, value: str, now: str, environment: str = ""
) -> None:
    """Set a variable, which anybody who can read the repository's settings sees."""
    tx.execute(
        "INSERT INTO variables (repo_id, environment, name, value, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (repo_id, environment, checked_name(name), value, now, now),
    )


def variables(tx: sqlite3.Connection, repo_id: int, environment: str = "") -> dict[str, str]:
    """The repository's variables, overridden by those of an Environment."""
    rows = tx.execute(
        "SELECT name, value FROM variables WHERE repo_id = ? AND environment IN ('', ?) ORDER BY environment",
        (repo_id, environment),
    )
    return {row["name"]: row["value"] for row in rows}
