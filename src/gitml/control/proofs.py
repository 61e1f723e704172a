"""What the ledger says of one version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import rules_of
from gitml.errors import GitmlError
from gitml.evidence.reader import read
from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed
from gitml.git import ledger
from gitml.kinds import KINDS


@dataclass(frozen=True)
class Ledger:
    """Statements, oldest first. ``problem`` says why there are none to read."""

    told: tuple[Believed, ...] = ()
    problem: str = ""
    exists: bool = False

    def of(self, model: str, version: str) -> tuple[Believed, ...]:
        """Those that can be read, whether they count or not."""
        return tuple(t for t in self.told if t.binding and (t.binding.model, t.binding.version) == (model, version))

    def reports(self, environment: str) -> bool:
        """Whether agents of an environment report to the ledger."""
        return any((about.kind, about.environment) == ("deployed", environment) for about in counting(self.told))

    def serves(self, model: str, environment: str, version: str) -> bool:
        """Whether an agent said that a version serves there."""
        wanted = ("deployed", environment, "passed")
        found = counting(self.of(model, version))
        return any((about.kind, about.environment, about.result) == wanted for about in found)

    def unusable(self, model: str, version: str, artifact: str) -> str:
        """Why a job of main could not use the artifact of a version, as believed evidence says; "" where none does."""
        wanted = ("evaluated", artifact, "failed")
        for one in self.of(model, version):
            about = one.binding
            if one and about and (about.kind, about.artifact, about.result) == wanted:
                return str(one.details.get("reason") or "it did not say why")[:200]
        return ""

    def ran(self, model: str, environment: str, version: str) -> bool:
        """Whether believed evidence says that a version was brought to an environment, or ran there."""
        found = counting(self.of(model, version))
        here = (about for about in found if KINDS[about.kind].ran and about.environment == environment)
        return any(about.result == "passed" for about in here)


def counting(told: Iterable[Believed]) -> Iterator[Binding]:
    """What the statements that count are about."""
    return (one.binding for one in told if one and one.binding)


def ledger_of(place: Place, main: Mainline) -> Ledger:
    """The ledger as the forge has it now, judged by the mainline's keys. Never raises: what is wrong is said."""
    try:
        head = ledger.fetch(place.root, place.remote)
        if head is None:
            return Ledger(problem=f"The branch {ledger.BRANCH} is not there yet, so there is no evidence.")
        told = read(place.root, head, rules_of(place, main.policy()))
    except GitmlError as exc:
        return Ledger(problem=f"The ledger cannot be read: {exc.message.splitlines()[0]}")
    return Ledger(told.events, exists=True)
