"""Patterns of names, matched in time that grows with the name alone.

People with write access write these patterns, and a regular expression that tries and goes back can be made to try for
hours. Here all the places in the pattern that a name could have reached are followed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

Fits = Callable[[str], bool]


@dataclass(frozen=True)
class Part:
    """One character that ``fits``, or with ``many`` any number of them, none included.

    ``skips`` above 0 makes it a fork instead: the next ``skips`` parts may be left out.
    """

    fits: Fits
    many: bool = False
    skips: int = 0


def anything(char: str) -> bool:
    return True


def no_slash(char: str) -> bool:
    return char != "/"


def exactly(char: str) -> Part:
    return Part(char.__eq__)


def maybe(parts: Sequence[Part]) -> list[Part]:
    """Parts that may be left out together."""
    return [Part(anything, skips=len(parts)), *parts]


FOLDERS = maybe([Part(anything, many=True), exactly("/")])  # any folders, none included


@dataclass(frozen=True)
class Pattern:
    """The parts in their order."""

    parts: tuple[Part, ...]

    def fullmatch(self, name: str) -> bool:
        """Whether the whole name fits."""
        here = self._start
        for char in name:
            here = self._after(here, char)
            if not here:
                return False
        return len(self.parts) in here

    @cached_property
    def _start(self) -> frozenset[int]:
        return self._reached(iter([0]))

    @cached_property
    def _known(self) -> dict[tuple[frozenset[int], str], frozenset[int]]:
        return {}

    def _after(self, here: frozenset[int], char: str) -> frozenset[int]:
        found = self._known.get((here, char))
        if found is None:
            found = self._reached(self._steps(here, char))
            if len(self._known) < 10_000:
                self._known[here, char] = found
        return found

    def _steps(self, here: frozenset[int], char: str) -> Iterator[int]:
        for at in here:
            if at < len(self.parts) and not (part := self.parts[at]).skips and part.fits(char):
                yield at if part.many else at + 1

    def _reached(self, places: Iterator[int]) -> frozenset[int]:
        """The places and those that are reached from them without a character."""
        found: set[int] = set()
        todo = list(places)
        while todo:
            at = todo.pop()
            if at in found:
                continue
            found.add(at)
            if at < len(self.parts):
                part = self.parts[at]
                todo += [at + 1] if part.many or part.skips else []
                todo += [at + 1 + part.skips] if part.skips else []
        return frozenset(found)
