"""Where what is loaded is shown: fronts that answer requests, and the columns that main hides of what they log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from gitml.agent.fetch import private_at
from gitml.agent.load import LoadedModel
from gitml.agent.source import MAIN_REF, Mirror
from gitml.errors import OutsideError


class Front(Protocol):
    """What answers requests."""

    def show(self, loaded: LoadedModel) -> None:
        """From now on this answers for its model, at once and whole; requests under way end with what they had."""
        ...


class Nowhere:
    """Answers nobody: for one convergence without a server."""

    def show(self, loaded: LoadedModel) -> None:
        """It was loaded and checked, and that is all."""


class HidingFront:
    """A front that does not log what main has made private since a version was deployed.

    What main takes off the list waits for a deployment, which people approve: nobody signs for gitml.yaml.
    """

    def __init__(self, front: Front, mirror: Mirror) -> None:
        self._front, self._mirror = front, mirror
        self._shown: dict[str, LoadedModel] = {}
        self._main, self._private = "", frozenset[str]()

    def show(self, loaded: LoadedModel) -> None:
        self._front.show(replace(loaded, private=loaded.private | self._private))
        self._shown[loaded.name] = loaded

    def follow(self, main: str) -> None:
        """Main's commit is this now. Raises what the mirror raises when it cannot be read."""
        if main == self._main:
            return
        before, self._private = self._private, private_at(self._mirror, main)
        self._main = main
        for loaded in [*self._shown.values()] if self._private != before else ():
            self.show(loaded)

    def follow_mirror(self) -> None:
        """What was known of main last, before it can be asked again."""
        with suppress(OutsideError):
            if main := self._mirror.resolve(MAIN_REF):
                self.follow(main)
