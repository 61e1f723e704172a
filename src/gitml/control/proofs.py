"""What the ledger says of one version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import GitmlError
from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed, believe
from gitml.git import ledger
from gitml.kinds import KINDS


@dataclass(frozen=True)
class Told:
    """A statement that can be read. ``doubt`` says why it is not believed, empty when it is."""

    binding: Binding
    doubt: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """Statements, oldest first. ``problem`` says why there are none to read."""

    told: tuple[Told, ...] = ()
    problem: str = ""
    exists: bool = False

    def of(self, model: str, version: str) -> tuple[Told, ...]:
        return tuple(t for t in self.told if (t.binding.model, t.binding.version) == (model, version))

    def reports(self, environment: str) -> bool:
        """Whether agents of an environment report to the ledger."""
        return any(
            not t.doubt and t.binding.kind == "deployed" for t in self.told if t.binding.environment == environment
        )

    def serves(self, model: str, environment: str, version: str) -> bool:
        """Whether an agent said that a version serves there."""
        return any(
            not t.doubt
            and (t.binding.kind, t.binding.environment, t.binding.result) == ("deployed", environment, "passed")
            for t in self.of(model, version)
        )

    def ran(self, model: str, environment: str, version: str) -> bool:
        """Whether believed evidence says that a version was brought to an environment, or ran there."""
        return any(
            not t.doubt and KINDS[t.binding.kind].ran and t.binding.environment == environment
            for t in self.of(model, version)
        )


def ledger_of(place: Place, main: Mainline) -> Ledger:
    """The ledger as the forge has it now, judged by the mainline's keys. Never raises: what is wrong is said."""
    try:
        head = ledger.fetch(place.root, place.remote)
        if head is None:
            return Ledger(problem=f"The branch {ledger.BRANCH} is not there yet, so there is no evidence.")
        keys = main.policy().keys
        raw = [event.content for event in ledger.read(place.root, head)]
    except GitmlError as exc:
        return Ledger(problem=f"The ledger cannot be read: {exc.message.splitlines()[0]}")
    now, name = place.clock(), place.settings.repository
    found = (believe(content, keys, name, now) for content in raw)
    return Ledger(tuple(_told(found)), exists=True)


def _told(found: Iterator[Believed]) -> Iterator[Told]:
    for one in found:
        if one.statement is not None:
            yield Told(one.statement.binding, one.reason, one.statement.details)
