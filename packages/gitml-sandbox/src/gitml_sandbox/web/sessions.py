"""Sessions of the web pages: a random secret in a cookie, its digest in the database."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from datetime import datetime, timedelta

from gitml_sandbox.clock import iso
from gitml_sandbox.forge import users
from gitml_sandbox.forge.users import User

SCHEMA = """
CREATE TABLE IF NOT EXISTS web_sessions (
    digest TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    password TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
"""

LIFE = timedelta(days=7)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def begin(tx: sqlite3.Connection, user: User, now: datetime) -> str:
    """Log a user in and return the secret for the cookie. Sessions that have expired are cleared away."""
    secret = secrets.token_urlsafe(32)
    tx.execute("DELETE FROM web_sessions WHERE expires_at <= ?", (iso(now),))
    tx.execute(
        "INSERT INTO web_sessions VALUES (?, ?, ?, ?, ?)",
        (digest(secret), user.id, _password(tx, user.id), iso(now), iso(now + LIFE)),
    )
    return secret


def find(tx: sqlite3.Connection, secret: str, now: datetime) -> User | None:
    """Whose session it is; nobody's once it has ended, expired, or the password is another."""
    row = tx.execute(
        "SELECT * FROM web_sessions WHERE digest = ? AND expires_at > ?", (digest(secret), iso(now))
    ).fetchone()
    if row is None or row["password"] != _password(tx, row["user_id"]):
        return None
    return users.by_id(tx, row["user_id"])


def end(tx: sqlite3.Connection, secret: str) -> None:
    tx.execute("DELETE FROM web_sessions WHERE digest = ?", (digest(secret),))


def _password(tx: sqlite3.Connection, user_id: int) -> str:
    """Names the stored password without being it, so that a new one ends the sessions of the old."""
    row = tx.execute("SELECT password FROM users WHERE id = ?", (user_id,)).fetchone()
    return digest(row["password"] or "")
