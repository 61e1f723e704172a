"""What an agent keeps on disk: where it stands, whole after any kill, and its folder for one process alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import LockedError, OutsideError
from gitml.files import write_file
from gitml.registry.replacements import ReplacedFile

STATE, LOCK, MIRROR, CACHE, OUTBOX, PINS, DVC = "state.json", "lock", "mirror.git", "cache", "outbox", "pins", "dvc"
SERVER = "server"  # all that the server's process may write there
TIME = "%Y-%m-%dT%H:%M:%SZ"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Applied(_Part):
    """What serves one model: the deployment file as ``commit`` of main brought it, and since when.

    ``evidence`` are the ledger's events that it was believed on; ``text`` is the file itself, ``parent`` and ``old``
    what it changed. ``pickle``: policy.yaml had an exception when it was applied. ``seconds`` from the moment that
    main's commit was seen; ``told`` once it was written to the outbox.
    """

    commit: str
    path: str
    blob: str
    text: str
    since: str
    parent: str = ""
    old: str = ""
    evidence: tuple[str, ...] = ()
    rollback: bool = False
    pickle: bool = False
    seconds: float = 0.0
    checked: Mapping[str, Any] = Field(default_factory=dict)
    told: bool = False


class Attempt(_Part):
    """What was tried for one model. ``failures`` counts for this commit and blob; ``over`` is False while it runs.

    A process that dies while it loads leaves ``over`` False: that counts as a failure too, or a model that kills its
    server would do so for ever.
    """

    commit: str
    blob: str
    started: str
    failures: int = 0
    over: bool = True
    reason: str = ""


class Crash(_Part):
    """An artifact that was being called when the server's process ended: how often, when last (UTC), and how.

    ``away``: that it ended was told, and that it answers again was not yet. ``back``: since when it answers again.
    """

    count: int
    last: str
    reason: str
    away: bool = False
    back: str = ""


class Stop(_Part):
    """A canary that gets no more requests here until another is pinned. ``told`` once it was written to the outbox."""

    version: str
    digest: str
    reason: str
    since: str
    told: bool = False


class AgentState(_Part):
    """The whole file. ``verified`` and ``ledger`` are the tips that all this was believed on.

    ``marks``: model → the newest commit behind ``verified`` that changed its file and was believed, while another
    model's file keeps ``verified`` from moving on.

    ``crashes``: by digest of the artifact. ``stops``: by model.

    ``replaced``: files that an erasure replaced, and that this machine has no more as they were.

    ``pins_told``: model → the local pin that the outbox knows of, as ``since``, or ``since-ended``.
    """

    format: Literal["gitml agent 1"] = "gitml agent 1"
    environment: str
    repository: str
    branch: str
    verified: str = ""
    marks: Mapping[str, str] = Field(default_factory=dict)
    ledger: str = ""
    applied: Mapping[str, Applied] = Field(default_factory=dict)
    attempts: Mapping[str, Attempt] = Field(default_factory=dict)
    pins_told: Mapping[str, str] = Field(default_factory=dict)
    crashes: Mapping[str, Crash] = Field(default_factory=dict)
    stops: Mapping[str, Stop] = Field(default_factory=dict)
    replaced: tuple[ReplacedFile, ...] = ()

    def with_applied(self, model: str, applied: Applied) -> AgentState:
        return self.model_copy(update={"applied": {**self.applied, model: applied}})

    def with_stop(self, model: str, stop: Stop | None) -> AgentState:
        kept = {name: value for name, value in self.stops.items() if name != model}
        return self.model_copy(update={"stops": {**kept, **({model: stop} if stop else {})}})

    def with_attempt(self, model: str, attempt: Attempt | None) -> AgentState:
        kept = {name: value for name, value in self.attempts.items() if name != model}
        return self.model_copy(update={"attempts": {**kept, **({model: attempt} if attempt else {})}})


def default_state(repository: str, environment: str) -> Path:
    """``gitml/agent/<owner>/<name>/<environment>`` in the XDG state folder."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "gitml" / "agent" / repository / environment


def load_state(folder: Path, fresh: AgentState) -> AgentState:
    """What the last process left, or ``fresh``.

    Raises OutsideError when it cannot be read, or belongs to another environment, repository or branch: whoever
    guessed would take a rewritten main for a first start.
    """
    path = folder / STATE
    try:
        found = AgentState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return fresh
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise OutsideError(
            f"{path} is no state of an agent: {place}: {first['msg']}",
            "see whether the disk is sound; move the folder away to begin anew",
        ) from exc
    told = (found.environment, found.repository, found.branch)
    if told != (fresh.environment, fresh.repository, fresh.branch):
        raise OutsideError(
            f"{folder} is the state of {' '.join(told)}",
            "give each environment, repository and branch a --state folder of its own",
        )
    return found


def save_state(folder: Path, state: AgentState) -> None:
    """Replace the file. Raises OSError when the disk is full; the old one is whole then."""
    write_file(folder / STATE, (state.model_dump_json(indent=1) + "\n").encode())


@contextmanager
def owned(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """The folder for this process alone, until the end or until it is killed. Raises LockedError.

    ``shared``: another user reads the models in it, and nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o711 if shared else 0o700)
    for name in (MIRROR, OUTBOX, PINS, DVC) if shared else ():
        (folder / name).mkdir(exist_ok=True)
        os.chmod(folder / name, 0o700)
    lock = filelock.FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise LockedError(
            f"another agent works in {folder}", "stop it first, or give this one another --state"
        ) from None
    try:
        yield
    finally:
        lock.release()


def stamp(moment: datetime) -> str:
    """UTC, ISO to the second with a Z."""
    return f"{moment.astimezone(UTC):{TIME}}"


def moment(text: str) -> datetime:
    """The other way round. Raises ValueError."""
    return datetime.strptime(text, TIME).replace(tzinfo=UTC)


def agent_name() -> str:
    """Who reports: this machine."""
    return socket.gethostname().split(".")[0] or "agent"
