"""Which version marks its calls where, so that an end of the process names the one being called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gitml.agent.calls import PLACES
from gitml.agent.messages import ServeOrder
from gitml.spec.deployment import Pin


class PlaceOwner(NamedTuple):
    """Whose place among the marks it is."""

    model: str
    version: str
    digest: str


def named(guilty: Sequence[PlaceOwner]) -> str:
    """What was being called at an end, as the rest of a sentence."""
    told = ", ".join(f"{one.model} {one.version}" for one in guilty)
    return f" while it called {told}" if told else ""


class CallPlaces:
    """The places among the marks, and to which version each was given last."""

    def __init__(self) -> None:
        self._owners: dict[int, PlaceOwner] = {}
        self._next = 0

    def of(self, model: str, pins: Sequence[Pin], shown: Mapping[str, ServeOrder]) -> dict[str, int]:
        """Where each version of ``pins`` marks its calls: one that serves, as ``shown`` says, keeps its place."""
        taken = {place for order in shown.values() for place in order.marks.values()}
        kept = shown[model].marks if model in shown else {}
        found: dict[str, int] = {}
        for pin in pins:
            wanted = PlaceOwner(model, pin.version, pin.digest)
            place = kept.get(pin.version, -1)
            if self._owners.get(place) != wanted:
                place = next(p for n in range(PLACES) if (p := (self._next + n) % PLACES) not in taken)
                self._next, self._owners[place] = place + 1, wanted
            found[pin.version] = place
        return found

    def owners(self, places: Iterable[int]) -> list[PlaceOwner]:
        """Whose these places are; those that were never given away are left out."""
        return [self._owners[place] for place in places if place in self._owners]
