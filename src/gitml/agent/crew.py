"""Several processes behind one port as one front: a change is served by all of them, or by none.

Each has a supervisor of its own, so one that ends is started again while the others answer. The kernel gives each
connection to one of them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from gitml.agent.childprocess import ChildPatience
from gitml.agent.confinement import Confinement
from gitml.agent.messages import BeginOrder, ServedVersion, ServeOrder, StoppedCanary
from gitml.agent.shop import Loss
from gitml.agent.supervisor import Supervisor
from gitml.agent.usage import Usage, together
from gitml.agent.view import View
from gitml.errors import GitmlError

T = TypeVar("T")


class Crew:
    """The supervisors of one server. ``wake`` is called when there is news of a process."""

    def __init__(self, members: Sequence[Supervisor]) -> None:
        self._members = tuple(members)
        self.wake: Callable[[], None] = lambda: None
        for member in self._members:
            member.wake = lambda: self.wake()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int | None, ...]:
        """Of the processes that answer now."""
        return tuple(member.pid for member in self._members)

    def start(self) -> None:
        """Raises OSError when folders cannot be made."""
        for member in self._members:
            member.start()

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        """As ``Front``: swapped when every process has it ready, so none serves it where one cannot."""
        try:
            # The first one alone: what brings a process down as it is loaded brings down one.
            told = self._members[0].hold(order)
            for others in self._each(lambda member: member.hold(order), self._members[1:]):
                if others != told:
                    told = _widest(told, others)
        except GitmlError:
            for member in self._members:
                with suppress(GitmlError):
                    member.let_go(order.name)
            raise
        self._each(lambda member: member.swap(order.name))
        return told

    def prepare(self, order: ServeOrder, formats: frozenset[str]) -> None:
        """As ``Front``."""
        for member in self._members:
            member.prepare(order, formats)

    def open(self) -> str:
        """Answer requests from now on, which limit is not kept, and '' where all are. Raises OutsideError."""
        return next(filter(None, self._each(lambda member: member.open())), "")

    def tell(self, view: View) -> None:
        """As ``Front``."""
        for member in self._members:
            member.tell(view)

    def losses(self) -> Sequence[Loss]:
        """As ``Front``: what one process lost, it is told with the others what to serve instead."""
        return [loss for member in self._members for loss in member.losses()]

    def stopped_canaries(self) -> Mapping[str, StoppedCanary]:
        """As ``Front``: a canary that fails in one process is taken from all."""
        return {name: one for member in self._members for name, one in member.stopped_canaries().items()}

    def used(self) -> Usage:
        """As ``Front``."""
        return together(member.used() for member in self._members)

    def close(self) -> None:
        """Have requests answered and the log written, then end all of them."""
        self._each(lambda member: member.close())

    def _each(self, step: Callable[[Supervisor], T], members: Sequence[Supervisor] | None = None) -> list[T]:
        """At once in all of them. Raises what the first one raised, when all are through."""
        chosen = self._members if members is None else members
        if not chosen:
            return []
        with ThreadPoolExecutor(len(chosen), "gitml-crew") as pool:
            done = [pool.submit(step, member) for member in chosen]
        return [one.result() for one in done]


def crew_of(
    begin: BeginOrder,
    confinement: Confinement,
    listeners: Sequence[socket.socket],
    *,
    note: Callable[[str], None],
    patience: ChildPatience | None = None,
) -> Crew:
    """A process for each of ``listeners``, not started yet; one that only loads and checks, if there are none."""
    if len(listeners) < 2:
        return Crew([Supervisor(begin, confinement, *listeners, note=note, patience=patience)])
    gaps_said: set[str] = set()
    together = {"pages": str(confinement.home / "metrics"), "arrays": str(confinement.home / "arrays")}
    return Crew(
        [
            Supervisor(
                begin.model_copy(update={"process": number, **together}),
                confinement,
                listener,
                note=_numbered(note, number),
                patience=patience,
                gaps_said=gaps_said,
            )
            for number, listener in enumerate(listeners)
        ]
    )


def _numbered(note: Callable[[str], None], number: int) -> Callable[[str], None]:
    return lambda text: note(f"process {number}: {text}")


def _widest(told: tuple[ServedVersion, ...], others: tuple[ServedVersion, ...]) -> tuple[ServedVersion, ...]:
    """Of two that loaded the same: where a version answered its samples less well."""
    return tuple(max(pair, key=lambda one: one.largest) for pair in zip(told, others, strict=True))
