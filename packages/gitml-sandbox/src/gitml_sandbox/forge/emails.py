"""The addresses of an account: whose commits are whose. Each has one account; nobody proves that one is theirs."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from gitml_sandbox.forge import users
from gitml_sandbox.forge.refusals import not_found, unprocessable
from gitml_sandbox.forge.users import NOREPLY, User

SCHEMA = """
CREATE TABLE IF NOT EXISTS emails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL COLLATE NOCASE UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE
);
"""

_ADDRESS = re.compile(r"[^\s@<>\"\x00-\x1f\x7f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_OWN = re.compile(rf"(?P<id>\d{{1,18}})\+(?P<login>[^@]+)@{re.escape(NOREPLY)}", re.I)


def listing(tx: sqlite3.Connection, user_id: int) -> list[str]:
    """What the person added, in that order; the first one is the primary address."""
    rows = tx.execute("SELECT email FROM emails WHERE user_id = ? ORDER BY id", (user_id,))
    return [row["email"] for row in rows]


def add(tx: sqlite3.Connection, user_id: int, addresses: Sequence[str]) -> None:
    """Link addresses to an account. Raises RefusalError 422 for one that is none, or that another account has."""
    for address in addresses:
        if not _ADDRESS.fullmatch(address) or address.lower().endswith(f"@{NOREPLY}"):
            raise unprocessable(f"{address!r} is not an e-mail address of a person")
        holder = owner(tx, address)
        if holder is not None and holder.id != user_id:
            raise unprocessable(f"{address} is already in use")
        tx.execute("INSERT OR IGNORE INTO emails (email, user_id) VALUES (?, ?)", (address, user_id))


def remove(tx: sqlite3.Connection, user_id: int, addresses: Sequence[str]) -> None:
    """Raises RefusalError 404 for an address that the account does not have."""
    for address in addresses:
        if tx.execute("DELETE FROM emails WHERE email = ? AND user_id = ?", (address, user_id)).rowcount == 0:
            raise not_found()


def owner(tx: sqlite3.Connection, address: str) -> User | None:
    """The account whose commits carry this address, linked or given by the forge."""
    row = tx.execute("SELECT user_id FROM emails WHERE email = ?", (address,)).fetchone()
    if row is not None:
        return users.by_id(tx, row["user_id"])
    own = _OWN.fullmatch(address)
    who = users.find(tx, own["login"]) if own else None
    return who if who is not None and own is not None and who.id == int(own["id"]) else None


def every(tx: sqlite3.Connection, who: User) -> tuple[str, ...]:
    """All addresses that mean this account, the one that the forge gave included."""
    return (who.mail, *listing(tx, who.id))
