"""``gitml ci record``: what became of main is signed. What was decided, what trained, what versions showed.

What is due is read from main and the ledger, not from the push: a run that was killed is made up for by the next one,
and one that runs twice signs nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gitml.cijobs.decided import decided
from gitml.cijobs.derived import derived
from gitml.cijobs.due import Due
from gitml.cijobs.tested import showed
from gitml.cijobs.trained import trained
from gitml.control.place import Place
from gitml.control.signing import Signer, heard
from gitml.errors import GitmlError
from gitml.evidence.keys import SigningKey
from gitml.gate.ground import Ground, ground
from gitml.gates.facts import Unknown
from gitml.spec.policy import POLICY


@dataclass(frozen=True)
class RecordOrder:
    """``key`` signs; without one it is only said what would be signed.

    ``run`` is the address of the CI run, ``commit`` what it is about; what jobs handed over must be of both.
    """

    key: SigningKey | None
    run: str = ""
    commit: str = ""


@dataclass(frozen=True)
class RecordResult:
    """One thing that was due, and the names of its events; none without a key, or when nothing can be signed.

    ``awaits``: names of the keys of policy.yaml that could have signed it, had this job one of them.
    """

    due: Due
    events: tuple[str, ...] = ()
    error: str = ""
    awaits: tuple[str, ...] = ()

    @property
    def is_fine(self) -> bool:
        return not self.error and not self.due.problem


Source = Callable[[Place, Ground, RecordOrder], Iterable[Due]]
# In the order in which they are signed: a later one reads what an earlier one said.
_SOURCES: tuple[Source, ...] = (
    lambda place, known, order: decided(place, known, order.run),
    lambda place, known, order: trained(place, known, order.run),
    lambda place, known, order: derived(place, known, order.run),
    lambda place, known, order: showed(place, known, order.run, order.commit),
)


def record(place: Place, order: RecordOrder) -> tuple[RecordResult, ...]:
    """Sign what is due, one thing after the other. One that fails does not keep the others back.

    Nothing is due without a policy.yaml on main. Raises SpecError for one that cannot be read, OutsideError when the
    ledger cannot be.
    """
    done: list[RecordResult] = []
    main = place.newest(whole=True)
    if main.file(POLICY) is None:
        place.say(f"main has no {POLICY} yet, so nobody's signature counts and nothing is due")
        return ()
    with ground(place, main) as known:
        # What cannot be read must stop it: it would sign everything again.
        stale = isinstance(known.heard, Unknown)
        for source in _SOURCES:
            if stale:
                known = known.listening(heard(place, known.policy))
            found = [_signed(place, known, order, due) for due in source(place, known, order)]
            stale = any(result.events for result in found)
            done += found
    return tuple(done)


def _could_sign(known: Ground, due: Due) -> tuple[str, ...]:
    kinds = {statement.binding.kind for statement in due.statements}
    return tuple(name for name, key in known.policy.keys.items() if kinds <= set(key.purposes))


def _signed(place: Place, known: Ground, order: RecordOrder, due: Due) -> RecordResult:
    if not due.statements:
        return RecordResult(due)
    if order.key is None:
        return RecordResult(due, awaits=_could_sign(known, due))
    try:
        signer = Signer(place, known.policy, order.key)
        return RecordResult(due, signer.sign(due.statements, parents=due.parents))
    except GitmlError as exc:
        return RecordResult(due, error=exc.message)
