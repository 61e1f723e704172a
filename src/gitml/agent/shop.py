"""Where what is fetched is served: fronts that answer requests, and the columns that main hides of what they log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from gitml.agent.fetch import private_at
from gitml.agent.messages import ServedVersion, ServeOrder, StoppedCanary
from gitml.agent.source import MAIN_REF, Mirror
from gitml.agent.usage import Usage
from gitml.agent.view import View
from gitml.errors import GitmlError, OutsideError


@dataclass(frozen=True)
class Loss:
    """A model that a front serves no more. ``digest`` is that of the version to blame, '' where none is known to be.

    ``others``: digests of those that were being called at the same end. One of them all may be to blame, or more.
    """

    model: str
    reason: str
    version: str = ""
    digest: str = ""
    others: tuple[str, ...] = ()


class Front(Protocol):
    """What answers requests."""

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        """From now on this answers for its model, at once and whole; requests under way end with what they had.

        What each version of the deployment is. Raises a GitmlError; then what answered before goes on."""
        ...

    def prepare(self, order: ServeOrder, formats: frozenset[str]) -> None:
        """This comes next, if it passes its trial: models of these formats."""
        ...

    def tell(self, view: View) -> None:
        """What the agent says of itself now."""
        ...

    def losses(self) -> Sequence[Loss]:
        """What it lost since it was asked last."""
        ...

    def stopped_canaries(self) -> Mapping[str, StoppedCanary]:
        """By model, the canary that it asks no more, because that fails where the champion answers."""
        ...

    def used(self) -> Usage:
        """What it did since it was asked last."""
        ...


class Nowhere:
    """Answers nobody, and loads nothing: for an agent that only observes."""

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        raise OutsideError(f"{order.name} is not loaded: this agent only observes")

    def prepare(self, order: ServeOrder, formats: frozenset[str]) -> None:
        pass

    def tell(self, view: View) -> None:
        pass

    def losses(self) -> Sequence[Loss]:
        return ()

    def stopped_canaries(self) -> Mapping[str, StoppedCanary]:
        return {}

    def used(self) -> Usage:
        return Usage()


class HidingFront:
    """A front that does not log what main has made private since a version was deployed.

    What main takes off the list waits for a deployment, which people approve: nobody signs for gitml.yaml.
    """

    def __init__(self, front: Front, mirror: Mirror) -> None:
        self._front, self._mirror = front, mirror
        self._shown: dict[str, ServeOrder] = {}
        self._hidden: dict[str, frozenset[str]] = {}
        self._main, self._private = "", frozenset[str]()

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        hidden = order.private | self._private
        told = self._front.serve(order.model_copy(update={"private": hidden}))
        self._shown[order.name], self._hidden[order.name] = order, hidden
        return told

    def follow(self, main: str) -> None:
        """Main's commit is this now. Raises what the mirror raises when it cannot be read."""
        if main == self._main:
            return
        self._private = private_at(self._mirror, main)
        try:
            for name, order in list(self._shown.items()):
                if self._hidden[name] != order.private | self._private:
                    self.serve(order)
        except GitmlError:
            # A process that is being started again logs nothing; the next round tries again.
            return
        self._main = main

    def follow_mirror(self) -> None:
        """What was known of main last, before it can be asked again."""
        with suppress(OutsideError):
            if main := self._mirror.resolve(MAIN_REF):
                self.follow(main)

    def losses(self) -> Sequence[Loss]:
        lost = self._front.losses()
        for loss in lost:
            order = self._shown.get(loss.model)
            if order and loss.version in ("", *(given.record.version for given in order.versions)):
                del self._shown[loss.model]
        return lost

    def stopped_canaries(self) -> Mapping[str, StoppedCanary]:
        return self._front.stopped_canaries()
