"""``gitml gc``: delete the objects of DVC that nothing names any more, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gitml import clock
from gitml.control.ledger import Here
from gitml.control.replaced import told_replaced
from gitml.dvc.inuse import local_tips, named, remote_tips
from gitml.dvc.objects import Store, Stored, names_in
from gitml.dvc.repository import Dvc
from gitml.errors import InconclusiveError, UsageError
from gitml.git.commands import Git
from gitml.pipelines.journal import forget, known_outputs
from gitml.pipelines.lock import training
from gitml.registry.erasures import ERASURES

_OLD_LOG = 30 * 86400


@dataclass(frozen=True)
class Unneeded:
    """An object that nothing names. ``label`` is the stage and path that it was, or empty."""

    oid: str
    size: int
    label: str


@dataclass(frozen=True)
class Plan:
    """For one store: what to delete, and the number and bytes of what stays; ``young`` of these only for its age."""

    store: str
    place: str
    unneeded: tuple[Unneeded, ...]
    kept: int
    kept_bytes: int
    young: int

    @property
    def unneeded_bytes(self) -> int:
        return sum(u.size for u in self.unneeded)


@dataclass(frozen=True)
class GcResult:
    """``deleted``: store → number and bytes. ``notes``: run notes and logs that went."""

    deleted: Mapping[str, tuple[int, int]]
    notes: int


@dataclass(frozen=True)
class GcCall:
    """``remote`` names a DVC remote to clean too. What is younger than ``min_age`` stays: a training, or somebody's
    branch that is not pushed yet, may be about to name it.
    """

    say: Callable[[str], None]
    remote: str | None = None
    min_age: timedelta = timedelta(hours=2)
    wait: bool = True


def plan(root: Path, call: GcCall) -> tuple[Plan, ...]:
    """What ``collect`` would delete. Raises InconclusiveError when it is not known what is needed."""
    with _held(root, call) as dvc:
        return _judge(root, dvc, call).plans


def collect(root: Path, call: GcCall, agreed: Iterable[Plan]) -> GcResult:
    """Delete what ``agreed`` says and still nothing names: the repository may have moved on while somebody read it."""
    shown = {p.store: {u.oid for u in p.unneeded} for p in agreed}
    deleted = {}
    with _held(root, call) as dvc:
        judged = _judge(root, dvc, call)
        for store, now in zip(judged.stores, judged.plans, strict=True):
            going = {u.oid: u for u in now.unneeded if u.oid in shown.get(now.store, ())}
            count = size = 0
            for oid in store.delete(going):
                count, size = count + 1, size + going[oid].size
            deleted[now.store] = (count, size)
        return GcResult(deleted, _tidy(root, judged, call))


def _tidy(root: Path, judged: _Judged, call: GcCall) -> int:
    """Run notes that can restore nothing any more, and logs that nobody will read."""
    now = clock.machine()
    left = judged.needed | set(judged.stores[0].listed())
    gone = forget(root, left, before=now - call.min_age.total_seconds())
    for log in (root / ".dvc" / "tmp" / "gitml" / "logs").glob("*.log"):
        if log.stat().st_mtime < now - _OLD_LOG:
            log.unlink(missing_ok=True)
            gone += 1
    return gone


@contextmanager
def _held(root: Path, call: GcCall) -> Iterator[Dvc]:
    """Nobody trains and no DVC command runs in this clone meanwhile."""
    with (
        training(root, wait=call.wait, tell=call.say, doing="collecting garbage"),
        Dvc(root) as dvc,
        dvc.locked(),
    ):
        yield dvc


@dataclass(frozen=True)
class _Judged:
    """``needed``: names of all objects to keep for what names them, not only for their age."""

    stores: tuple[Store, ...]
    plans: tuple[Plan, ...]
    needed: set[str]


def _judge(root: Path, dvc: Dvc, call: GcCall) -> _Judged:
    if call.remote is not None and call.remote not in dvc.remote_names():
        here = ", ".join(dvc.remote_names()) or "none"
        raise UsageError(f"there is no DVC remote {call.remote}", f"remotes here: {here}")
    names = _named(dvc, call) | _replacing(dvc, call)
    stores = (dvc.store(), *([dvc.store(call.remote)] if call.remote else []))
    listed = [store.listed() for store in stores]
    young = {s.oid for objects in listed for s in objects.values() if _is_young(s, call.min_age)}
    others = [dvc.store(name) for name in dvc.remote_names() if name != call.remote]
    listings = _Listings([*stores, *others])
    needed = listings.closure(
        {oid: f"which {path} names, here or in a branch, tag or stash" for oid, path in names.items()}
    )
    kept = needed | listings.closure(dict.fromkeys(young, "which is young"))
    labels = _labels(root, listings, {oid for objects in listed for oid in objects})
    plans = (_plan(s, objects, needed, kept, labels) for s, objects in zip(stores, listed, strict=True))
    return _Judged(stores, tuple(plans), needed)


def _named(dvc: Dvc, call: GcCall) -> dict[str, str]:
    cache = dvc.cache_folder.resolve()
    if not cache.is_relative_to(dvc.top.resolve()):
        raise InconclusiveError(
            f"the cache {cache} lies outside this repository: other projects may keep their data there",
            "clean it with something that knows all of them, or give this repository a cache of its own",
        )
    git = Git(dvc.top)
    tips = local_tips(git) | (remote_tips(git) if call.remote is not None else set())
    return named(git, tips, cache=cache).oids


def _replacing(dvc: Dvc, call: GcCall) -> dict[str, str]:
    """Files that took the place of recorded ones when somebody was erased: only the ledger names them."""
    here = Here(dvc.top, os.environ)
    if not here.git.text("ls-files", "--", f":(top,glob)**/{ERASURES}/*.json").strip():
        return {}
    if call.remote is not None:
        here.refresh()
    return {one.dvc.removeprefix("md5:"): f"what {one.path} of {one.version} became" for one in told_replaced(here)}


def _is_young(stored: Stored, min_age: timedelta) -> bool:
    return stored.modified is None or stored.modified > clock.machine() - min_age.total_seconds()


class _Listings:
    """The listings of folders, each looked for in the cache and the remotes and read once."""

    def __init__(self, stores: list[Store]) -> None:
        self._stores = stores
        self._known: dict[str, frozenset[str] | None] = {}

    def members(self, oid: str) -> frozenset[str] | None:
        """The files of the folder ``oid``, or None when its listing is to be had nowhere."""
        if oid not in self._known:
            raw = next((found for store in self._stores if (found := store.read(oid)) is not None), None)
            self._known[oid] = None if raw is None else names_in(raw)
        return self._known[oid]

    def closure(self, oids: Mapping[str, str]) -> set[str]:
        """``oids``, each with why it is kept, and the files of the folders among them.

        Raises InconclusiveError for a folder whose listing cannot be read: its files may be among those that nothing
        else names, so nothing at all may go.
        """
        found = set(oids)
        for oid in sorted(o for o in oids if o.endswith(".dir")):
            members = self.members(oid)
            if members is None:
                raise InconclusiveError(
                    f"the listing {oid}, {oids[oid]}, cannot be read here or from a remote: its files are not known",
                    "nothing was deleted; bring it back with `dvc fetch --all-branches --all-tags`, or train it again",
                )
            found |= members
        return found


def _labels(root: Path, listings: _Listings, present: set[str]) -> dict[str, str]:
    """What objects were, as far as this clone ran the stages that made them."""
    labels: dict[str, str] = {}
    for stage, content in known_outputs(root):
        oid = content.digest.removeprefix("md5:")
        members = listings.members(oid) if oid.endswith(".dir") and oid in present else None
        for name in (oid, *(members or ())):
            labels.setdefault(name, f"{stage}: {content.path}")
    return labels


def _plan(
    store: Store, listed: Mapping[str, Stored], needed: set[str], kept: set[str], labels: Mapping[str, str]
) -> Plan:
    going = sorted((s for oid, s in listed.items() if oid not in kept), key=lambda s: (-s.size, s.oid))
    staying = [s for oid, s in listed.items() if oid in kept]
    return Plan(
        store.name,
        store.place,
        tuple(Unneeded(s.oid, s.size, labels.get(s.oid, "")) for s in going),
        kept=len(staying),
        kept_bytes=sum(s.size for s in staying),
        young=sum(s.oid not in needed for s in staying),
    )
