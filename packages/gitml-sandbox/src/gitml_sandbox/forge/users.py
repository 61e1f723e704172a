"""People, bots, organisations and teams."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from dataclasses import dataclass

from gitml_sandbox.errors import RefError, UsageError

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL COLLATE NOCASE UNIQUE,
    type TEXT NOT NULL CHECK (type IN ('User', 'Bot', 'Organization')),
    name TEXT NOT NULL DEFAULT '',
    password TEXT,
    site_admin INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE TABLE IF NOT EXISTS org_members (
    org_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    PRIMARY KEY (org_id, user_id)
);
CREATE TABLE IF NOT EXISTS teams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    slug TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL,
    UNIQUE (org_id, slug)
);
CREATE TABLE IF NOT EXISTS team_members (
    team_id INTEGER NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, user_id)
);
"""

# As on GitHub, the forge's own addresses name the account, and do not tell what the person's own address is.
NOREPLY = "users.noreply.localhost"
# GitHub's rule for logins: letters, digits, single hyphens inside, 39 at most; a bot ends in [bot].
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}(\[bot\])?")
# Words that are pages or folders of the server, so they cannot be owners.
RESERVED = frozenset(
    {
        "api",
        "apps",
        "avatars",
        "login",
        "logout",
        "settings",
        "static",
        "assets",
        "healthz",
        "search",
        "orgs",
        "users",
        "new",
        "raw",
        "admin",
    }
)
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}


@dataclass(frozen=True)
class User:
    """A row of users. ``type`` is 'User', 'Bot' or 'Organization'."""

    id: int
    login: str
    type: str
    name: str
    site_admin: bool
    created_at: str

    @property
    def mail(self) -> str:
        """The address for commits that the forge makes in their name."""
        return f"{self.id}+{self.login}@{NOREPLY}"


def user_of(row: sqlite3.Row) -> User:
    return User(
        row["id"],
        row["login"],
        row["type"],
        row["name"],
        bool(row["site_admin"]),
        row["created_at"],
    )


def add(
    tx: sqlite3.Connection,
    login: str,
    *,
    type: str = "User",  # noqa: A002 - GitHub's own word
    name: str = "",
    password: str | None = None,
    site_admin: bool = False,
) -> User:
    """Create a user, bot or organisation. Raises UsageError when the login is taken or not allowed."""
    match = _LOGIN.fullmatch(login)
    if match is None or bool(match.group(1)) != (type == "Bot") or login.lower() in RESERVED:
        raise UsageError(
            f"{login!r} cannot be a login",
            "letters, digits and single hyphens, at most 39; only bots end in [bot]",
        )
    if find(tx, login) is not None:
        raise UsageError(f"the login {login} is taken", "choose another, or see: gitml sandbox user list")
    secret = hash_password(password) if password is not None else None
    tx.execute(
        "INSERT INTO users (login, type, name, password, site_admin) VALUES (?, ?, ?, ?, ?)",
        (login, type, name or login, secret, int(site_admin)),
    )
    return get(tx, login)


def find(tx: sqlite3.Connection, login: str) -> User | None:
    row = tx.execute("SELECT * FROM users WHERE login = ?", (login,)).fetchone()
    return user_of(row) if row else None


def get(tx: sqlite3.Connection, login: str) -> User:
    """Like find, but raises RefError."""
    user = find(tx, login)
    if user is None:
        raise RefError(f"there is no user {login}", "see: gitml sandbox user list")
    return user


def by_id(tx: sqlite3.Connection, user_id: int) -> User:
    row = tx.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
    if row is None:
        raise RefError(f"there is no user with id {user_id}")
    return user_of(row)


def everyone(tx: sqlite3.Connection) -> list[User]:
    return [user_of(row) for row in tx.execute("SELECT * FROM users ORDER BY id")]


def hash_password(password: str) -> str:
    """scrypt with a salt of its own (RFC 7914): ``scrypt$<salt hex>$<hash hex>``."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT).hex()}"


def set_password(tx: sqlite3.Connection, user_id: int, password: str) -> None:
    tx.execute("UPDATE users SET password = ? WHERE id = ?", (hash_password(password), user_id))


def check_password(tx: sqlite3.Connection, login: str, password: str) -> User | None:
    """The user if the password is right. Takes as long for a login that does not exist."""
    row = tx.execute("SELECT * FROM users WHERE login = ?", (login,)).fetchone()
    stored = row["password"] if row is not None and row["password"] else f"scrypt${'00' * 16}${'00' * 64}"
    _, salt, expected = stored.split("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_SCRYPT)
    right = hmac.compare_digest(found, bytes.fromhex(expected))
    return user_of(row) if right and row is not None and row["password"] else None


def add_member(tx: sqlite3.Connection, org_id: int, user_id: int, role: str = "member") -> None:
    tx.execute("INSERT OR REPLACE INTO org_members VALUES (?, ?, ?)", (org_id, user_id, role))


def add_team(tx: sqlite3.Connection, org_id: int, name: str) -> int:
    """Create a team of an organisation and return its id; the slug is the name in lower case with hyphens."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug:
        raise UsageError(f"{name!r} cannot be the name of a team", "use letters and digits")
    done = tx.execute("INSERT INTO teams (org_id, slug, name) VALUES (?, ?, ?)", (org_id, slug, name))
    return int(done.lastrowid or 0)


def add_team_member(tx: sqlite3.Connection, team_id: int, user_id: int) -> None:
    tx.execute("INSERT OR IGNORE INTO team_members VALUES (?, ?)", (team_id, user_id))


def team_slugs(tx: sqlite3.Connection, org_id: int, user_id: int) -> frozenset[str]:
    """The teams of the organisation that the user is in."""
    rows = tx.execute(
        "SELECT slug FROM teams JOIN team_members ON team_id = teams.id WHERE org_id = ? AND user_id = ?",
        (org_id, user_id),
    )
    return frozenset(row["slug"] for row in rows)
