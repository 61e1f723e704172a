"""``gitml ci collect``: what agents put into their outbox becomes evidence, if a trusted key signed it.

Agents cannot write to Git; this job can, and it adds nothing of its own. An event is named by what it holds, so it may
be collected as often as one likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.agent.report import contents, full_name, remove
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import OutsideError, SpecError
from gitml.evidence.served import KIND as SERVED_HOUR
from gitml.evidence.served import meant_served
from gitml.evidence.statement import Statement
from gitml.evidence.trust import believe_event
from gitml.git import ledger
from gitml.git.ledger import BRANCH, SERVED, Event
from gitml.spec.policy import TrustedKey
from gitml.verdict import Phase, Verdict

# Kind of what agents put there → the branch that keeps it: nothing that is read before a change hangs on an hour.
KINDS = {"deployed": BRANCH, SERVED_HOUR: SERVED}
# One commit holds at most so many events: a push has a size that a forge takes.
_AT_ONCE = 500


@dataclass(frozen=True)
class Collected:
    """Names of events: ``added`` now, ``known`` before; ``refused`` with the reason; ``removed`` from the outbox."""

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Failed when something was refused: somebody has to look, and take it out of the outbox."""
        told = f"{len(self.added)} added, {len(self.known)} known, {len(self.refused)} refused"
        return Verdict(Phase.FAILED if self.refused else Phase.SUCCESSFUL, told)


def collect(place: Place, outbox: str, *, prune: bool = False) -> Collected:
    """Everything in ``outbox``, a folder or URL, by the keys of the default branch's policy.yaml as it is now.

    ``prune``: take out of the outbox what the ledger has. Raises OutsideError.
    """
    judge = _Judge(place, place.newest(whole=True), _there(place))
    found = [judge.one(name, envelope) for name, envelope in contents(outbox)]
    fresh = {one.full: one for one in found if not one.why and not one.known}
    names = sorted(fresh)
    for branch in KINDS.values():
        mine = [name for name in names if fresh[name].branch == branch]
        for first in range(0, len(mine), _AT_ONCE):
            part = {name: fresh[name].envelope for name in mine[first : first + _AT_ONCE]}
            ledger.append(place.remote, part, near=place.root, branch=branch)
    gone = [one.name for one in found if not one.why] if prune else []
    for name in gone:
        remove(outbox, name)
    return Collected(
        tuple(names),
        tuple(one.full for one in found if one.known),
        {one.name: one.why for one in found if one.why},
        tuple(gone),
    )


@dataclass(frozen=True)
class _Found:
    """One file of the outbox; ``full`` is its name on its ``branch``, ``why`` the reason to refuse it."""

    name: str
    envelope: bytes
    full: str = ""
    branch: str = BRANCH
    known: bool = False
    why: str = ""


class _Judge:
    """By one state of the default branch and of the ledger."""

    def __init__(self, place: Place, main: Mainline, there: frozenset[str]) -> None:
        self._place, self._main, self._there = place, main, there
        self._keys = _keys(main)

    def one(self, name: str, envelope: bytes) -> _Found:
        try:
            full = full_name(name, envelope)
        except ValueError as exc:
            return _Found(name, envelope, why=str(exc))
        if full in self._there:
            return _Found(name, envelope, full, known=True)
        settings = self._place.settings
        event = Event(full, envelope)
        found = believe_event(event, self._keys, settings.repository, self._place.clock(), settings.host)
        branch = KINDS.get(found.kind, BRANCH)
        return _Found(name, envelope, full, branch, why=found.unless(self._foreign(found.statement)).why_not)

    def _foreign(self, said: Statement | None) -> str:
        """Why a statement has no place here: agents say what they deployed and what they served, and nothing else."""
        if said is None or said.binding.kind not in KINDS:
            return f"is of another kind; an outbox holds {' and '.join(KINDS)} alone"
        head = said.binding.head
        if head and not self._is_on_main(head):
            return f"speaks of {head[:10]}, which is not on the default branch"
        return _contradicts(said)

    def _is_on_main(self, commit: str) -> bool:
        try:
            self._main.git.read("merge-base", "--is-ancestor", commit, self._main.commit)
        except OutsideError:
            return False
        return True


def _contradicts(said: Statement) -> str:
    """Why an hour cannot be what it says; '' where it can, and for other kinds."""
    if said.binding.kind != SERVED_HOUR:
        return ""
    try:
        meant_served(said.details)
    except ValueError as exc:
        return f"contradicts itself: {exc}"
    return ""


def _keys(main: Mainline) -> Mapping[str, TrustedKey]:
    try:
        return main.policy().keys
    except SpecError as exc:
        raise OutsideError(f"policy.yaml cannot be read: {exc.problems[0]}", "then nobody's signature counts") from exc


def _there(place: Place) -> frozenset[str]:
    heads = [head for branch in KINDS.values() if (head := ledger.fetch(place.root, place.remote, branch))]
    return frozenset(event.name for head in heads for event in ledger.read(place.root, head))
