"""The ledger: an orphan branch with one file for each event, to which files are only ever added.

Looks of monitors and hours of servers lie on other branches of this form: what takes a ``branch`` is told which one is
meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitml.errors import IntegrityError, OutsideError
from gitml.files import write_file
from gitml.git.edit import tip_of
from gitml.git.ledgerline import NAME, LedgerEntry, Line, line_of
from gitml.git.orphan import Addition, Remote, add, add_to
from gitml.git.repository import FILE, Repository
from gitml.git.runner import git

__all__ = ["BRANCH", "LOOKS", "SERVED", "Event", "Remote", "append", "event_name", "fetch", "read"]

BRANCH, LOOKS, SERVED = "gitml-ledger", "gitml-looks", "gitml-served"
_LOCAL = "refs/remotes/gitml/"
LOCAL = f"{_LOCAL}{BRANCH}"
MAX_EVENT = 1_000_000
_AT_ONCE = 32_000_000
_MOST_EVENTS, _MOST_BYTES = 20_000, 256_000_000
_MEMORY = {BRANCH: "ledger-only-grew", LOOKS: "looks-only-grew", SERVED: "served-only-grew"}
_ABSENT = "couldn't find remote ref"
_FETCH = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")


@dataclass(frozen=True)
class Event:
    """One file of the ledger: its path there, its bytes, and where its reader knows them, Git's name of the bytes and
    the commit that brought them.

    ``known``: what was found of the bytes, shared by all names that they lie under. Whoever may push can copy a large
    file to thousands of names for nothing.
    """

    name: str
    content: bytes
    blob: str = ""
    commit: str = ""
    known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes."""
        if "digest" not in self.known:
            self.known["digest"] = hashlib.sha256(self.content).hexdigest()
        return str(self.known["digest"])


def event_name(time: str, kind: str, envelope: bytes, digest: str = "") -> str:
    """Where an event lies: names sort by time, and say what the content must be.

    >>> event_name("2026-01-31T08:00:00Z", "gate", b"{}")
    '2026/01/20260131T080000Z-gate-44136fa355b3.json'
    """
    stamp = time.replace("-", "").replace(":", "")
    name = f"{time[:4]}/{time[5:7]}/{stamp}-{kind}-{digest[:12] or hashlib.sha256(envelope).hexdigest()[:12]}.json"
    if not NAME.fullmatch(name):
        raise ValueError(f"{name[:100]!r} is no name of an event")
    return name


def append(
    remote: Remote,
    events: Mapping[str, bytes],
    *,
    parents: Sequence[str] = (),
    near: Path | None = None,
    branch: str = BRANCH,
    message: str = "",
) -> str:
    """Add events, by ``event_name``, in one commit and return it; those that are there already add nothing.

    ``parents``: commits, on the same server, that the ledger keeps reachable. ``near``: a clone that may have called
    ``fetch``; while nobody else appended since, this takes half the time. ``message``: the commit's, by default which
    kinds it brings. Raises IntegrityError for a name that is not the content's, OutsideError when the server refuses or
    cannot be reached.
    """
    for name, content in events.items():
        if why := wrong_name(name, content):
            raise IntegrityError(f"{name[:200]!r} {why}")
    kinds = ", ".join(sorted({m["kind"] for m in map(NAME.fullmatch, events) if m}))
    addition = Addition(branch, events, message or f"Evidence: {kinds}\n", tuple(parents))
    return (_append_near(near, remote, addition) if near else None) or add(remote, addition)


def _append_near(near: Path, remote: Remote, addition: Addition) -> str | None:
    """On top of what the clone ``near`` has; None where that does not do."""
    local = local_of(addition.branch)
    tip = head(near, local)
    if not tip or not all(head(near, parent) for parent in addition.parents):
        return None
    return add_to(tip, near, remote, addition, track=local)


def wrong_name(name: str, content: bytes, digest: str = "") -> str:
    """Why an event may not be called this, or empty. ``digest``: the content's SHA-256, where it is known."""
    found = NAME.fullmatch(name)
    if not found:
        return "is no name of an event"
    if len(content) > MAX_EVENT:
        return f"is larger than {MAX_EVENT:,} bytes"
    return (
        ""
        if (digest or hashlib.sha256(content).hexdigest()).startswith(found["digest"])
        else "holds something else than it says"
    )


def fetch(root: Path, remote: Remote, branch: str = BRANCH) -> str | None:
    """Have the remote's ledger in the clone at ``root``; its newest commit, or None if there is no ledger yet.

    Raises IntegrityError when it was rewritten, or is gone, since this clone saw it.
    """
    local = local_of(branch)
    try:
        # Without --quiet: Git would not say why it refuses.
        remote.git(root, *_FETCH, remote.url, f"refs/heads/{branch}:{local}")
    except OutsideError as exc:
        if "non-fast-forward" in exc.message:
            raise IntegrityError(
                f"the branch {branch} was rewritten since this clone last fetched it",
                f"`gitml audit --fetch` says what is missing; `git update-ref -d {local}` forgets what was there",
            ) from None
        if _ABSENT not in exc.message:
            raise
        if head(root, local):
            raise IntegrityError(
                f"the branch {branch} is gone from the server", "push it again from a clone that has it"
            ) from None
        return None
    return head(root, local)


def fetch_as_is(root: Path, remote: Remote, branch: str = BRANCH) -> str | None:
    """The newest commit of the remote's ledger, however it stands to what this clone saw before; None if it is gone."""
    if tip_of(root, remote, branch) is None:
        return None
    remote.git(root, *_FETCH, remote.url, f"+refs/heads/{branch}:{_LOCAL}{branch}-now")
    return head(root, f"{_LOCAL}{branch}-now")


def local_of(branch: str) -> str:
    """The ref under which ``fetch`` keeps a branch of this form."""
    return f"{_LOCAL}{branch}"


def names_of(branch: str) -> tuple[str, ...]:
    """The refs under which a clone may know it."""
    return (f"refs/remotes/origin/{branch}", local_of(branch), f"refs/heads/{branch}")


def head(root: Path, revision: str = LOCAL) -> str | None:
    """The commit that ``revision`` names in the clone at ``root``, or None."""
    return Repository(root).resolve(revision)


def read(root: Path, revision: str = LOCAL) -> list[Event]:
    """The events up to ``revision`` in the clone at ``root``, newest last, also those that were deleted since."""
    repository = Repository(root)
    head = repository.resolve(revision)
    entries = remembered(repository, head).entries if head else ()
    return sorted(load(repository, entries), key=lambda event: event.name)


def remembered(repository: Repository, head: str, branch: str = BRANCH) -> Line:
    """The line up to ``head``. The clone remembers how far it only ever grew, and begins there the next time."""
    memory = Path(repository.common_dir, "gitml", _MEMORY[branch])
    before = memory.read_text(encoding="ascii", errors="replace").strip() if memory.is_file() else ""
    if head == before:
        return _listed(repository, head)
    is_newer = bool(before) and _continues(repository, head, before)
    line = line_of(repository, head, _listed(repository, before) if is_newer else None)
    if not line.breaks and (is_newer or not before):
        with suppress(OSError):  # a clone that cannot be written to looks at all of it again
            write_file(memory, line.head.encode())
    return line


def _continues(repository: Repository, head: str, before: str) -> bool:
    words = ("-c", "core.commitGraph=false", "merge-base", "--is-ancestor", before, head)
    return git(repository.folder, *words, env=repository.env, check=False).returncode == 0


def _listed(repository: Repository, head: str) -> Line:
    """A line that is known to have only grown: its newest tree has all that there ever was."""
    files = (entry for entry in repository.named(head, NAME) if entry.mode == FILE)
    return Line(head, {LedgerEntry(file.path, file.id): () for file in files})


def load(repository: Repository, entries: Collection[LedgerEntry]) -> Iterator[Event]:
    """The events, a bounded part of them in memory at a time; each content is read once, under however many names.

    A file that is too large for an event is none: whoever may push could not make every reader load it.
    """
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.blob, []).append(entry.name)
    for part in _parts(sizes(repository, list(names))):
        for blob, content in zip(part, repository.contents(part), strict=True):
            known: dict[str, Any] = {}
            yield from (Event(name, content, blob, known=known) for name in names[blob])


def portion(repository: Repository, entries: Sequence[LedgerEntry]) -> Sequence[LedgerEntry]:
    """As many of the first as one look reads: so many events, and of so many bytes."""
    some = entries[:_MOST_EVENTS]
    sized = sizes(repository, list(dict.fromkeys(entry.blob for entry in some)))
    total = 0
    for place, entry in enumerate(some):
        size = sized.pop(entry.blob, 0)
        total += size if size <= MAX_EVENT else 0
        if total > _MOST_BYTES:
            return some[:place]
    return some


def _parts(sized: Mapping[str, int]) -> Iterator[list[str]]:
    part: list[str] = []
    total = 0
    for blob, size in sized.items():
        if size > MAX_EVENT:
            continue
        if total + size > _AT_ONCE:
            yield part
            part, total = [], 0
        part.append(blob)
        total += size
    yield part


def sizes(repository: Repository, blobs: Sequence[str]) -> dict[str, int]:
    """In bytes, without reading them; nothing for one that is not here, so that reading it says so."""
    asked = "".join(f"{name}\n" for name in blobs).encode()
    words = ("cat-file", "--batch-check=%(objectsize)", "--buffer")
    said = git(repository.folder, *words, env=repository.env, stdin=asked).stdout.decode().splitlines()
    return {name: int(size) if size.isdigit() else 0 for name, size in zip(blobs, said, strict=True)}
