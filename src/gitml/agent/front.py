"""The server's side of a swap: prepared beside what serves, put in its place at once, and the old one drained."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gitml.agent.calls import CallMarks
from gitml.agent.messages import MOST_VERSIONS, ServedVersion, ServeOrder, StoppedCanary, VersionCount
from gitml.agent.room import Furnished, bring_up
from gitml.errors import UsageError
from gitml.models.sharedarrays import SharedArrays
from gitml.serving.answercounts import AnswerCounts
from gitml.serving.state import Served, ServerState

_DRAIN = 60.0


@dataclass(frozen=True)
class Server:
    """Loads what it is told and answers with it over HTTP; ``state`` is what its application serves from.

    ``shared``: where other processes look for the arrays of the same models.
    """

    state: ServerState
    note: Callable[[str], None] = lambda _: None
    marks: CallMarks | None = None
    shared: SharedArrays | None = None
    _there: dict[str, Furnished] = field(default_factory=dict)
    _held: dict[str, tuple[Furnished, Served]] = field(default_factory=dict)

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        """What answers from now on. Raises as ``hold``; then the old ones go on."""
        told = self.hold(order)
        self.swap(order.name)
        return told

    def hold(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        """Have it ready beside what answers. Raises as ``bring_up``, UsageError also where the versions do not fit one
        another."""
        self._held.pop(order.name, None)
        loaded = bring_up(order, self._there.get(order.name), self.marks, self.shared)
        models = {version: member.model for version, member in loaded.members.items()}
        fresh = self.state.prepare(loaded.name, loaded.deployment, models, commit=loaded.commit, private=loaded.private)
        self._held[order.name] = loaded, fresh
        return loaded.told

    def let_go(self, name: str) -> None:
        """Hold nothing for the model any more."""
        self._held.pop(name, None)

    def swap(self, name: str) -> None:
        """Answer with what is held from now on. Raises UsageError where nothing is."""
        if name not in self._held:
            raise UsageError(f"nothing is held for {name}")
        loaded, fresh = self._held.pop(name)
        old = self.state.swap(fresh)
        self._there[name] = loaded
        if old is not None:
            # Requests that take long must not hold up the next change.
            threading.Thread(target=self._drain, args=(old,), daemon=True, name="gitml-drain").start()

    @property
    def stopped(self) -> dict[str, StoppedCanary]:
        """Canaries that get no more requests, by model."""
        found = {name: (served.breaker.reason, served.canary) for name, served in self.state.served.items()}
        return {
            name: StoppedCanary(version=canary.version, digest=canary.digest, reason=reason[:200])
            for name, (reason, canary) in found.items()
            if reason and canary
        }

    def _drain(self, old: Served) -> None:
        # A request holds its snapshot from its first line on, and is counted when its body is there.
        time.sleep(self.state.limits.body_seconds + 1.0)
        if not self.state.drain(old, _DRAIN):
            self.note(f"{old.name}: requests still hold the versions before, after {_DRAIN:.0f} s")


def counted(answers: AnswerCounts) -> tuple[VersionCount, ...]:
    """What was answered so far, of the versions that came last."""
    found = []
    for (model, version, variant), count in list(answers.told())[-MOST_VERSIONS:]:
        codes = dict(count.codes)
        errors = sum(number for code, number in codes.items() if code >= 500)
        refused = sum(number for code, number in codes.items() if 400 <= code < 500)
        about = {"model": model, "version": version, "variant": variant}
        counts = {"rows": count.rows, "errors": errors, "refused": refused, "buckets": tuple(count.buckets)}
        found.append(VersionCount(**about, **counts))
    return tuple(found)
