"""What every part of the sandbox is given: the state folder, the database, the clock, the address."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gitml_sandbox.clock import iso, utc_now
from gitml_sandbox.forge.store import Store


class Locks:
    """One lock for each repository: refs and the rows about them change under it, taken before tx."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._of: dict[int, threading.RLock] = {}

    def of(self, repo_id: int) -> threading.RLock:
        with self._guard:
            return self._of.setdefault(repo_id, threading.RLock())


@dataclass(frozen=True)
class Sandbox:
    """One sandbox. ``clock`` returns an aware UTC time (tests turn it); ``wake`` is set on events."""

    root: Path
    store: Store
    clock: Callable[[], datetime]
    base_url: str
    wake: threading.Event
    locks: Locks = field(default_factory=Locks)
    # Called for each ref that moved, as follower(sandbox, tx, refs.Move), in the transaction that records it.
    followers: tuple[Callable[..., None], ...] = ()

    def now(self) -> str:
        return iso(self.clock())

    @property
    def repositories(self) -> Path:
        return self.root / "repos"

    @property
    def api_url(self) -> str:
        return f"{self.base_url}/api/v3"


@dataclass(frozen=True)
class View:
    """One snapshot as one person (None: a stranger) sees it."""

    sandbox: Sandbox
    tx: sqlite3.Connection
    viewer_id: int | None = None

    @property
    def web(self) -> str:
        return self.sandbox.base_url

    @property
    def api(self) -> str:
        return self.sandbox.api_url


def open_sandbox(
    root: Path,
    *,
    ddl: str,
    base_url: str,
    clock: Callable[[], datetime] = utc_now,
    followers: tuple[Callable[..., None], ...] = (),
) -> Sandbox:
    """Open or create the state folder ``root`` (mode 0700: it holds hashes and keys) with the tables of ``ddl``."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("repos", "logs", "artifacts", "actions", "hooks", "tmp"):
        (root / name).mkdir(exist_ok=True, mode=0o700)
    wake = threading.Event()
    return Sandbox(root, Store(root / "sandbox.db", ddl, wake, clock), clock, base_url, wake, followers=followers)
