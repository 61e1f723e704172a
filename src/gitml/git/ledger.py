"""The ledger: an orphan branch with one file for each event, to which files are only ever added."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import IntegrityError, OutsideError
from gitml.git.edit import tip_of
from gitml.git.orphan import Addition, Remote, add, add_to
from gitml.git.repository import Repository
from gitml.git.runner import git

__all__ = ["BRANCH", "Event", "Remote", "append", "event_name", "fetch", "read"]

BRANCH = "gitml-ledger"
LOCAL = f"refs/remotes/gitml/{BRANCH}"
MAX_EVENT = 1_000_000
NAME = re.compile(
    r"(\d{4})/(\d\d)/(?P<time>\1\2\d\dT\d{6}Z)-(?P<kind>[a-z][a-z-]{0,30})-(?P<digest>[0-9a-f]{12})\.json"
)
_ABSENT = "couldn't find remote ref"
_FETCH = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")


@dataclass(frozen=True)
class Event:
    """One file of the ledger: its path there, its bytes, and the commit that brought it in, where that was asked."""

    name: str
    content: bytes
    commit: str = ""


def event_name(time: str, kind: str, envelope: bytes) -> str:
    """Where an event lies: names sort by time, and say what the content must be.

    >>> event_name("2026-01-31T08:00:00Z", "gate", b"{}")
    '2026/01/20260131T080000Z-gate-44136fa355b3.json'
    """
    stamp = time.replace("-", "").replace(":", "")
    name = f"{time[:4]}/{time[5:7]}/{stamp}-{kind}-{hashlib.sha256(envelope).hexdigest()[:12]}.json"
    if not NAME.fullmatch(name):
        raise ValueError(f"{name[:100]!r} is no name of an event")
    return name


def append(
    remote: Remote, events: Mapping[str, bytes], *, parents: Sequence[str] = (), near: Path | None = None
) -> str:
    """Add events, by ``event_name``, in one commit and return it; those that are there already add nothing.

    ``parents``: commits, on the same server, that the ledger keeps reachable. ``near``: a clone that may have called
    ``fetch``; while nobody else appended since, this takes half the time. Raises IntegrityError for a name that is not
    the content's, OutsideError when the server refuses or cannot be reached.
    """
    for name, content in events.items():
        if why := wrong_name(name, content):
            raise IntegrityError(f"{name[:200]!r} {why}")
    kinds = ", ".join(sorted({m["kind"] for m in map(NAME.fullmatch, events) if m}))
    addition = Addition(BRANCH, events, f"Evidence: {kinds}\n", tuple(parents))
    return (_append_near(near, remote, addition) if near else None) or add(remote, addition)


def _append_near(near: Path, remote: Remote, addition: Addition) -> str | None:
    """On top of what the clone ``near`` has; None where that does not do."""
    tip = head(near)
    if not tip or not all(head(near, parent) for parent in addition.parents):
        return None
    return add_to(tip, near, remote, addition, track=LOCAL)


def wrong_name(name: str, content: bytes) -> str:
    """Why an event may not be called this, or empty."""
    found = NAME.fullmatch(name)
    if not found:
        return "is no name of an event"
    if len(content) > MAX_EVENT:
        return f"is larger than {MAX_EVENT:,} bytes"
    return (
        "" if hashlib.sha256(content).hexdigest().startswith(found["digest"]) else "holds something else than it says"
    )


def fetch(root: Path, remote: Remote) -> str | None:
    """Have the remote's ledger in the clone at ``root``; its newest commit, or None if there is no ledger yet.

    Raises IntegrityError when it was rewritten, or is gone, since this clone saw it.
    """
    try:
        # Without --quiet: Git would not say why it refuses.
        remote.git(root, *_FETCH, remote.url, f"refs/heads/{BRANCH}:{LOCAL}")
    except OutsideError as exc:
        if "non-fast-forward" in exc.message:
            raise IntegrityError(
                f"the branch {BRANCH} was rewritten since this clone last fetched it",
                f"`gitml audit --fetch` says what is missing; `git update-ref -d {LOCAL}` forgets what was there",
            ) from None
        if _ABSENT not in exc.message:
            raise
        if head(root):
            raise IntegrityError(
                f"the branch {BRANCH} is gone from the server", "push it again from a clone that has it"
            ) from None
        return None
    return head(root)


def fetch_as_is(root: Path, remote: Remote) -> str | None:
    """The newest commit of the remote's ledger, however it stands to what this clone saw before; None if it is gone."""
    if tip_of(root, remote, BRANCH) is None:
        return None
    remote.git(root, *_FETCH, remote.url, f"+refs/heads/{BRANCH}:{LOCAL}-now")
    return head(root, f"{LOCAL}-now")


def head(root: Path, revision: str = LOCAL) -> str | None:
    """The commit that ``revision`` names in the clone at ``root``, or None."""
    return Repository(root).resolve(revision)


def read(root: Path, revision: str = LOCAL) -> list[Event]:
    """The events at ``revision`` of the clone at ``root``, newest last; other files of the branch are left out.

    A file that is too large for an event is one of the others: whoever may push could not make every reader load it.
    """
    words = ["ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", revision]
    listed = git(root, *words).stdout.decode("utf-8", "surrogateescape")
    entries = (line.split("\t", 1) for line in listed.split("\0") if line)
    wanted = {name: about.split()[2] for about, name in entries if _is_event(about, name)}
    names = sorted(wanted)
    contents = Repository(root).contents([wanted[name] for name in names])
    return [Event(name, content) for name, content in zip(names, contents, strict=True)]


def _is_event(about: str, name: str) -> bool:
    """``about``: mode, type, id and size in bytes, as Git lists a file."""
    if not about.startswith("100644 blob ") or not NAME.fullmatch(name):
        return False
    size = about.split()[3]
    # Git prints BAD for an object that is not there: reading it says so.
    return not size.isdigit() or int(size) <= MAX_EVENT


def small(root: Path, ids: Sequence[str]) -> list[str]:
    """The blobs that are not too large for an event; one that is not there is among them, and reading it says so."""
    asked = "".join(f"{name}\n" for name in ids).encode()
    said = git(root, "cat-file", "--batch-check=%(objectsize)", "--buffer", stdin=asked).stdout
    sizes = said.decode().splitlines()
    return [name for name, size in zip(ids, sizes, strict=True) if not size.isdigit() or int(size) <= MAX_EVENT]
