"""When and how a version left an environment, as the base branch's history has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from gitml.control.mainline import Mainline
from gitml.errors import SpecError
from gitml.gates.facts import Departure
from gitml.registry.resolve import deployment_path
from gitml.spec import Deployment, parse_deployment
from gitml.spec.deployment import Pin


def departure(main: Mainline, model: str, environment: str, pin: Pin) -> Departure | None:
    """The last time that ``pin`` stopped being the champion; None where main never had it as one.

    Whether the hold was in force then does not matter: a merge may come later than the end of a short one.
    """
    past = tuple(_states(main, deployment_path(model, environment)))
    for place, ((time, after), (_, before)) in enumerate(pairwise(past)):
        if _plain(before.champion) == _plain(pin) != _plain(after.champion):
            ran_before = {_plain(state.champion) for _, state in past[place + 2 :]}
            return Departure(time, after.hold is not None and _plain(after.champion) in ran_before)
    return None


def _states(main: Mainline, path: str) -> Iterator[tuple[datetime, Deployment]]:
    """Newest first, without those that are not there or cannot be read."""
    for past in main.history(path):
        try:
            if past.content is not None:
                yield datetime.fromisoformat(past.time), parse_deployment(past.content, path)
        except SpecError:
            continue


def _plain(pin: Pin) -> tuple[str, str]:
    return pin.version, pin.digest
