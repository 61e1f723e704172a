"""The server's process: it holds the models and answers requests, and has no key, no token and no Git.

It does what its supervisor tells it, and ends with it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gitml.agent.channel import Channel, ChannelError
from gitml.agent.confinement import ChildPlace
from gitml.agent.messages import (
    LONGEST_ORDER,
    ORDER,
    AliveAnswer,
    AliveOrder,
    BeginOrder,
    BegunAnswer,
    EndOrder,
    Knock,
    OpenedAnswer,
    OpenOrder,
    PrepareOrder,
    RefusedAnswer,
    Remark,
    ServedAnswer,
    ServeOrder,
    StateOrder,
    SwapOrder,
    SwappedAnswer,
    VersionCount,
)
from gitml.confined import end_with_parent, without_children, without_rights
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, UsageError
from gitml.landlock import close_in

_ERRORS = (
    (IntegrityError, "integrity"),
    (UsageError, "usage"),
    (FailedError, "failed"),
    (InconclusiveError, "inconclusive"),
    (GitmlError, "outside"),
)
_KNOCK = 0.2  # seconds between two knocks that are passed on


def main() -> None:
    """Never comes back: no thread of a model holds up the end."""
    place = ChildPlace.model_validate_json(sys.argv[2])
    end_with_parent()
    # Whoever stops the service stops the supervisor, which has requests answered first.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Where a library faults: the supervisor keeps what is printed.
    faulthandler.enable(all_threads=False)
    without_rights()
    # Before there are other threads.
    closed = close_in(place.reads, place.writes, connects=place.connects)
    alone = without_children()
    channel = Channel(socket.socket(fileno=place.channel), LONGEST_ORDER)
    try:
        _attend(place, channel, closed, alone=alone)
    except ChannelError:
        os._exit(1)
    os._exit(0)


def _attend(place: ChildPlace, channel: Channel, closed: int, *, alone: bool) -> None:
    begin = ORDER.validate_json(channel.receive())
    if not isinstance(begin, BeginOrder):
        raise ChannelError("the first order is to begin")
    with ExitStack() as stack:
        served = _Served(place, channel, begin, stack)
        channel.send(BegunAnswer(number=begin.number, closed=closed, alone=alone))
        while True:
            order = ORDER.validate_json(channel.receive())
            if isinstance(order, EndOrder):
                return
            served.told(order)


@dataclass
class _Served:
    """What the orders work on. Loads have a thread of their own, one after the other: it can be asked meanwhile."""

    place: ChildPlace
    channel: Channel
    begin: BeginOrder
    stack: ExitStack
    view: Any = None
    still: Callable[[], float] = lambda: 0.0
    work: SimpleQueue[ServeOrder | SwapOrder | PrepareOrder | OpenOrder] = field(default_factory=SimpleQueue)
    held: dict[str, ServeOrder] = field(default_factory=dict)
    shown: dict[str, ServeOrder] = field(default_factory=dict)
    counts: Callable[[], tuple[VersionCount, ...]] = tuple

    def __post_init__(self) -> None:
        # After the process is closed in: all that follows is large.
        from gitml.agent.calls import CallMarks
        from gitml.agent.front import Server
        from gitml.agent.livereferences import LiveReferences
        from gitml.models.sharedarrays import SharedArrays
        from gitml.serving.state import ServerState

        self.references = LiveReferences()
        self.state = ServerState(self.begin.environment, restarts=self.begin.restarts)
        self.shared = SharedArrays(Path(self.begin.arrays)) if self.begin.arrays else None
        self.server = Server(self.state, self._remark, CallMarks(self.place.marks), self.shared)
        threading.Thread(target=self._work, daemon=True, name="gitml-load").start()

    def told(self, order: object) -> None:
        if isinstance(order, AliveOrder):
            self.channel.send(self._alive(order))
        elif isinstance(order, StateOrder):
            self.view = json.loads(order.state)
        elif isinstance(order, ServeOrder | SwapOrder | PrepareOrder | OpenOrder):
            self.work.put(order)

    def _work(self) -> None:
        while True:
            order = self.work.get()
            if isinstance(order, PrepareOrder):
                _prepare(order)
                continue
            try:
                self.channel.send(self._done(order))
            except ChannelError:
                os._exit(1)

    def _done(
        self, order: ServeOrder | SwapOrder | OpenOrder
    ) -> ServedAnswer | SwappedAnswer | OpenedAnswer | RefusedAnswer:
        from gitml.models.cores import return_freed_memory

        try:
            if isinstance(order, OpenOrder):
                return self._open(order.number)
            if isinstance(order, SwapOrder):
                self._settle(order)
                return SwappedAnswer(number=order.number)
            versions = self.server.hold(order)
            self.held[order.name] = order
            return_freed_memory()
            if not order.hold:
                self._settle(SwapOrder(name=order.name))
            return ServedAnswer(number=order.number, name=order.name, versions=versions)
        except GitmlError as exc:
            word: Any = next(word for kind, word in _ERRORS if isinstance(exc, kind))
            return RefusedAnswer(
                number=order.number, error=word, message=exc.message[:4000], hint=(exc.hint or "")[:1000]
            )
        except Exception as exc:  # a stranger's model is loaded: whatever it raises, what serves goes on serving
            what = "server" if isinstance(order, OpenOrder) else "model"
            said = f"the {what} raised {type(exc).__name__}: {exc}"[:4000]
            return RefusedAnswer(number=order.number, error="failed", message=said)

    def _settle(self, order: SwapOrder) -> None:
        held = self.held.pop(order.name, None)
        if order.let_go:
            self.server.let_go(order.name)
            return
        self.server.swap(order.name)
        if held is not None:
            self.references.serve(held)
            self.shown[order.name] = held
        if self.shared:
            orders = (*self.shown.values(), *self.held.values())
            self.shared.only({one.record.files[one.record.artifact].sha256 for o in orders for one in o.versions})

    def _alive(self, order: AliveOrder) -> AliveAnswer:
        serving = {
            name: tuple(sorted(v.digest for v in served.variants.values()))
            for name, served in self.state.served.items()
        }
        return AliveAnswer(
            number=order.number,
            serving=serving,
            still=self.still(),
            stopped=self.server.stopped,
            counts=self.counts(),
        )

    def _open(self, number: int) -> OpenedAnswer:
        from gitml.agent.front import counted
        from gitml.agent.http import PATHS, Scope, with_agent
        from gitml.models.cores import leave_out_of_collections
        from gitml.serving.app import create_app
        from gitml.serving.auth import Access, access
        from gitml.serving.listener import Listen
        from gitml.serving.server import answering_at
        from gitml.serving.sharedpages import SharedPages
        from gitml.serving.wire import RequestError
        from gitml.traffic.predictionlog import LogOrigin
        from gitml.traffic.writing import writing

        if self.place.listener is None:
            return OpenedAnswer(number=number)
        begin = self.begin
        tokens = {digest: Access(one.caller, one.scopes) for digest, one in begin.callers.items()}

        def allowed(scope: Scope) -> bool:
            try:
                access(scope, tokens)
            except RequestError:
                return False
            return True

        leave_out_of_collections()
        keep = timedelta(seconds=begin.keep) if begin.keep else None
        origin = LogOrigin(environment=begin.environment, keep=keep)
        spool = Path(begin.spool) if begin.spool else None
        writers = self.stack.enter_context(writing(begin.log, origin, spool))
        pages = SharedPages(Path(begin.pages), begin.process) if begin.pages else None
        inner = create_app(self.state, writers.log, tokens=tokens, taken=writers.taken, described=PATHS, pages=pages)
        self.references.count(writers.live, inner.metrics, lambda: self.view)
        self.counts = partial(counted, inner.metrics.answers)
        app = with_agent(inner, lambda: self.view, self._knocker(), secret=begin.secret, allowed=allowed)
        listener = socket.socket(fileno=self.place.listener)
        listen = Listen(grace=begin.grace)
        running = self.stack.enter_context(answering_at(listener, app, self.state, listen))
        self.still = running.still
        if pages:
            pages.tell_always(inner.metrics.own_text)
        return OpenedAnswer(number=number, missing=running.missing)

    def _knocker(self) -> Callable[[], None]:
        last = -1.0

        def knock() -> None:
            nonlocal last
            if time.monotonic() - last > _KNOCK:
                last = time.monotonic()
                self.channel.send(Knock())

        return knock

    def _remark(self, text: str) -> None:
        self.channel.send(Remark(text=text[:500]))


def _prepare(order: PrepareOrder) -> None:
    from gitml.models.libraries import prepare

    # What cannot be imported is said by the load that needs it.
    with suppress(Exception):
        for kind in order.formats:
            prepare(kind, samples=order.samples)
