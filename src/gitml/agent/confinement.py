"""What the server's process may touch, and whose process it is: as little as answering requests takes."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from gitml import clock, gpus, landlock
from gitml.errors import UsageError
from gitml.process import needed_by_python

# What it reads to reach others.
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/ssl", "/etc/pki")


class ChildPlace(BaseModel):
    """What a server's process is told as it starts: the numbers of its descriptors, and what it may touch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: int
    marks: int
    listener: int | None = None
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    connects: bool = False


@dataclass(frozen=True)
class User:
    """A user of this machine, by number."""

    name: str
    number: int
    group: int


@dataclass(frozen=True)
class Confinement:
    """Where a server's process works: it reads ``cache``, the models, and writes its ``home`` and the ``log``.

    ``log``: a folder or URL, '' for none; only a URL needs connections, and a ``spool``. ``variables``: names of those
    that it is told. ``program``: the module whose ``main`` it runs. ``said``: the file that keeps what it prints as it
    fails, which it cannot reach.
    """

    cache: Path
    home: Path
    log: str = ""
    spool: str = ""
    reads: Sequence[str] = ()
    variables: Sequence[str] = ()
    user: User | None = None
    program: str = "gitml.agent.child"
    said: Path | None = None

    @property
    def local_log(self) -> Path | None:
        parts = urlsplit(self.log)
        return Path(parts.path) if self.log and parts.scheme in ("", "file") else None

    @property
    def connects(self) -> bool:
        """Whether it may open connections: only to an object store."""
        return bool(self.log) and self.local_log is None

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (self.home, *([self.local_log] if self.local_log else []), *([Path(self.spool)] if self.spool else []))

    def place(self, channel: int, marks: int, listener: int | None) -> ChildPlace:
        """The same in the words of a call."""
        turned = os.environ.get(clock.VARIABLE)
        seen, nodes = gpus.places()
        reads = [*needed_by_python(), str(self.cache), *self.reads, *(_NETWORK if self.connects else ()), *seen]
        return ChildPlace(
            channel=channel,
            marks=marks,
            listener=listener,
            # A clock is turned by renaming: its folder is needed.
            reads=(*reads, *([str(Path(turned).parent)] if turned else [])),
            writes=("/dev/null", *nodes, *map(str, self._folders)),
            connects=self.connects,
        )

    def environment(self) -> dict[str, str]:
        """Its variables."""
        told = (*self.variables, clock.VARIABLE, "CUDA_VISIBLE_DEVICES")
        own = {name: os.environ[name] for name in told if name in os.environ}
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "HOME": str(self.home), "TMPDIR": str(self.home), **own}

    def prepare(self) -> None:
        """Make its folders, for its user. Raises OSError."""
        self.cache.mkdir(parents=True, exist_ok=True)
        for folder in self._folders:
            if not folder.exists():
                folder.mkdir(parents=True)
                if self.user:
                    os.chown(folder, self.user.number, self.user.group)


def user_named(name: str) -> User | None:
    """A user of this machine. Raises UsageError where there is none, or where nobody here may become it."""
    if not name:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"this machine has no user {name}", f"make one: useradd --system {name}") from None
    if os.geteuid() != 0 and os.geteuid() != found.pw_uid:
        raise UsageError(f"only root may start a process of {name}", "start the agent as root, or as a unit of its own")
    if found.pw_uid == 0:
        raise UsageError("the server's process is not to be root's", "name a user without rights")
    return User(name, found.pw_uid, found.pw_gid)


def may_read(path: Path, user: User) -> bool:
    """Whether the permissions of a file let a user read it, whatever those of its folders say."""
    found = path.stat()
    if found.st_uid == user.number:
        return bool(found.st_mode & stat.S_IRUSR)
    if found.st_gid == user.group:
        return bool(found.st_mode & stat.S_IRGRP)
    return bool(found.st_mode & stat.S_IROTH)


def gaps(closed: int, *, alone: bool, connects: bool) -> Iterator[str]:
    """What this machine's kernel could not take from the process. ``closed``: the version of Landlock, 0 for none;
    ``alone``: it can start no process; ``connects``: it may open connections."""
    if not alone:
        yield "this kernel filters no system calls: a process that a model starts outlives the server's"
    if not closed:
        yield "this kernel has no Landlock: the server's process reads what its user may read"
    elif closed < landlock.CONNECTIONS and not connects:
        yield "this kernel's Landlock lets the server's process open connections: it takes Linux 6.7"
