"""The server's process kept alive: told what to serve, asked how it is, and started again with what was good.

The supervisor holds the keys, the process holds the models. What it says is held against what it was told: a process
that says it serves anything else is ended, and nothing of it is signed.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from gitml.agent.callplaces import CallPlaces, named
from gitml.agent.childprocess import ChildPatience, ChildProcess, EndedError
from gitml.agent.claims import digests_of, error_of, is_canary, keys_of, pins_of, why_wrong
from gitml.agent.confinement import Confinement, gaps
from gitml.agent.messages import (
    AliveAnswer,
    AliveOrder,
    BeginOrder,
    BegunAnswer,
    EndOrder,
    OpenedAnswer,
    OpenOrder,
    PrepareOrder,
    RefusedAnswer,
    ServedAnswer,
    ServedVersion,
    ServeOrder,
    StateOrder,
    StoppedCanary,
    SwapOrder,
    SwappedAnswer,
)
from gitml.agent.shop import Loss
from gitml.agent.usage import Usage, UsageMeter
from gitml.agent.view import View
from gitml.errors import GitmlError, IntegrityError, OutsideError
from gitml.jsontext import canonical, plain


class Supervisor:
    """A front whose models are in another process. ``listener``: where that answers; None: it only loads and checks.
    ``gaps_said``: what was said of this machine's kernel already."""

    def __init__(
        self,
        begin: BeginOrder,
        confinement: Confinement,
        listener: socket.socket | None = None,
        *,
        note: Callable[[str], None] = lambda _: None,
        patience: ChildPatience | None = None,
        gaps_said: set[str] | None = None,
    ) -> None:
        self._begin, self._confinement, self._listener = begin, confinement, listener
        self._note, self._patience = note, patience or ChildPatience()
        self.wake: Callable[[], None] = lambda: None
        self._child: ChildProcess | None = None
        self._shown: dict[str, ServeOrder] = {}
        self._held: dict[str, ServeOrder] = {}
        self._places = CallPlaces()
        self._losses: list[Loss] = []
        self._stopped: dict[str, StoppedCanary] = {}
        self._meter = UsageMeter()
        self._view: View | None = None
        self._restarts = self._ends = self._closed = 0
        self._last, self._said = "", set[str]() if gaps_said is None else gaps_said
        self._trouble: GitmlError | None = None
        self._is_open = False
        # Whoever orders has the turn; so has the thread that starts the process again.
        self._turn, self._lock = threading.RLock(), threading.Lock()
        self._up, self._over = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True, name="gitml-supervisor")

    def start(self) -> None:
        """Raises OSError when its folders cannot be made."""
        self._confinement.prepare()
        self._keeper.start()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process that answers now."""
        return self._child.pid if self._child else None

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        """As ``Front``. Where the process ends meanwhile for another reason, the next one is asked."""
        told = self.hold(order)
        self.swap(order.name)
        return told

    def hold(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        """Have it ready beside what serves, until ``swap`` or ``let_go``. Raises as ``serve``."""
        order = order.model_copy(update={"hold": True})
        asked: ChildProcess | None = None
        try:
            with self._turned() as asked:
                return self._ordered(asked, order)
        except EndedError:
            if asked is None or not self._is_replaced(asked) or self._is_guilty(order):
                raise
        with self._turned() as child:
            return self._ordered(child, order)

    def swap(self, name: str) -> None:
        """Serve what is held. A process that ended meanwhile is followed by one that serves it."""
        with self._turn:
            self._shown[name] = self._held.pop(name)
            self._settle(SwapOrder(name=name))

    def let_go(self, name: str) -> None:
        """Hold it no more: what serves goes on."""
        with self._turn:
            self._held.pop(name, None)
            self._settle(SwapOrder(name=name, let_go=True))

    def _settle(self, order: SwapOrder) -> None:
        if (child := self._child) is None or not self._up.is_set():
            return
        with suppress(EndedError):
            answer = child.ask(order, self._patience.silent, SwappedAnswer, RefusedAnswer)
            # Another process may have taken its place after the load, with what served before.
            if isinstance(answer, RefusedAnswer) and not order.let_go:
                self._serve_again(child, order.name, self._shown[order.name])

    def prepare(self, order: ServeOrder, formats: frozenset[str]) -> None:
        child = self._child
        if child is not None and self._up.is_set():
            with suppress(EndedError):
                child.send(
                    PrepareOrder(formats=formats, samples=any(v.record.roles.get("samples") for v in order.versions))
                )

    def open(self) -> str:
        """Answer requests from now on, which limit is not kept, and '' where all are. Raises OutsideError."""
        with self._turned() as child:
            missing = self._opened(child)
            self._is_open = True
        return missing

    def tell(self, view: View) -> None:
        self._view = view
        child = self._child
        if child is not None and self._up.is_set():
            self._say(child)

    def losses(self) -> Sequence[Loss]:
        with self._lock:
            lost, self._losses = self._losses, []
        return lost

    def stopped_canaries(self) -> Mapping[str, StoppedCanary]:
        with self._lock:
            return dict(self._stopped)

    def used(self) -> Usage:
        return self._meter.taken()

    def close(self) -> None:
        """Have requests answered and the log written, then end it."""
        self._over.set()
        if self._listener is not None:
            # Its copy is the last one: what knocks from now on is refused.
            self._listener.close()
        if self._keeper.is_alive():
            self._end()
            self._keeper.join(self._patience.end)

    def _end(self) -> None:
        if (child := self._child) is None:
            return
        with suppress(EndedError):
            self._look(child)
            child.send(EndOrder())
            if not child.ended.wait(self._patience.end):
                child.kill("it did not end")

    @contextmanager
    def _turned(self) -> Iterator[ChildProcess]:
        """The process, for this thread alone. Raises OutsideError where none is there in time."""
        if not self._up.wait(self._patience.begin):
            raise OutsideError("the server's process is not there", self._last)
        with self._turn:
            if self._trouble is not None:
                raise self._trouble
            if self._child is None:
                raise OutsideError("the server's process is not there", self._last)
            yield self._child

    def _ordered(self, child: ChildProcess, order: ServeOrder) -> tuple[ServedVersion, ...]:
        order = order.model_copy(update={"marks": self._places.of(order.name, pins_of(order), self._shown)})
        answer = child.ask(order, self._patience.load * len(order.versions), ServedAnswer, RefusedAnswer)
        if isinstance(answer, RefusedAnswer):
            raise error_of(answer)
        assert isinstance(answer, ServedAnswer)
        wrong = why_wrong(order, answer)
        if wrong:
            child.kill(wrong)
            raise IntegrityError(f"the server's process was ended: {wrong}", "look at the agent's log before this")
        (self._held if order.hold else self._shown)[order.name] = order.model_copy(update={"hold": False})
        return answer.versions

    def _keep(self) -> None:
        """The thread that starts processes: each is killed when its starter ends, so it stays to the end."""
        while not self._over.is_set():
            child = self._child
            if child is None or child.ended.is_set():
                if child is not None:
                    self._ended(child)
                if self._over.wait(self._patience.before(self._ends)):
                    return
                self._start_again()
            elif not child.ended.wait(self._patience.look):
                with suppress(EndedError):
                    self._look(child)

    def _start_again(self) -> None:
        with self._turn:
            try:
                self._bring_up()
                self._trouble = None
            except (GitmlError, OSError) as exc:
                self._last = str(exc)
                self._note(f"the server's process did not come up: {exc}")
                if self._child is None:
                    self._ends += 1
                else:
                    self._child.kill("it did not come up")
                self._trouble = None if self._is_open else OutsideError(f"the server did not start: {exc}")
                if self._is_open:
                    return
            self._up.set()

    def _bring_up(self) -> None:
        self._child = None
        child = ChildProcess(self._confinement, self._listener, lambda: self.wake(), self._note)
        self._child = child
        begin = self._begin.model_copy(update={"restarts": self._restarts})
        self._told_closed(child.ask(begin, self._patience.begin, BegunAnswer))
        self._meter.began(child.pid)
        for name, order in list(self._shown.items()):
            self._serve_again(child, name, order)
        self._say(child)
        if self._is_open:
            self._opened(child)

    def _serve_again(self, child: ChildProcess, name: str, order: ServeOrder) -> None:
        try:
            self._ordered(child, order)
        except EndedError:
            raise
        except GitmlError as exc:
            self._lose(name, Loss(name, f"it could not be loaded again: {exc.message}"))

    def _opened(self, child: ChildProcess) -> str:
        answer = child.ask(OpenOrder(), self._patience.begin, OpenedAnswer, RefusedAnswer)
        if isinstance(answer, RefusedAnswer):
            raise error_of(answer)
        assert isinstance(answer, OpenedAnswer)
        return answer.missing

    def _look(self, child: ChildProcess) -> None:
        """Whether it lives, and serves what it was told. Raises EndedError."""
        if not self._turn.acquire(blocking=False):
            # It is being told what to serve: it is only asked whether it lives.
            child.ask(AliveOrder(), self._patience.silent, AliveAnswer)
            return
        try:
            found = child.ask(AliveOrder(), self._patience.silent, AliveAnswer)
            if dict(found.serving) != {order.name: digests_of(order) for order in self._shown.values()}:
                child.kill("it says that it serves something else than it was told")
            elif found.still > self._patience.silent:
                child.kill(f"it answers nobody: its loop stood still for {found.still:.0f} s")
            else:
                self._told_stopped(found.stopped)
                self._meter.saw(found.counts, (key for order in self._shown.values() for key in keys_of(order)))
        finally:
            self._turn.release()

    def _told_stopped(self, stopped: Mapping[str, StoppedCanary]) -> None:
        """It can only take traffic from a canary that it was told to serve."""
        mine = {
            name: one
            for name, one in stopped.items()
            if name in self._shown and is_canary(self._shown[name], one.version, one.digest)
        }
        with self._lock:
            is_new, self._stopped = mine != self._stopped, mine
        if is_new and mine:
            self.wake()

    def _ended(self, child: ChildProcess) -> None:
        self._up.clear()
        self._meter.ended()
        calm = time.monotonic() - child.began > self._patience.calm
        self._ends = 1 if calm else self._ends + 1
        self._restarts += 1
        self._last = child.why
        self._child = None
        with self._turn:
            guilty = self._places.owners(child.marks.called())
            for one in guilty:
                reason = f"{one.model} {one.version} was being called when {child.why}"
                others = tuple(sorted({other.digest for other in guilty} - {one.digest}))
                self._lose(one.model, Loss(one.model, reason, one.version, one.digest, others))
        printed = self._confinement.said
        kept = f"; what it printed is in {printed}" if printed and printed.exists() else ""
        self._note(f"{child.why}{named(guilty)}; it is started again{kept}")
        self.wake()

    def _lose(self, model: str, loss: Loss) -> None:
        shown = self._shown.get(model)
        if shown is not None and loss.version in ("", *shown.marks):
            del self._shown[model]
        with self._lock:
            self._losses.append(loss)

    def _is_replaced(self, ended: ChildProcess) -> bool:
        """Wait for the process after this one."""
        until = time.monotonic() + self._patience.begin
        while self._child is ended or not self._up.is_set():
            if self._over.wait(0.05) or time.monotonic() > until:
                return False
        return True

    def _is_guilty(self, order: ServeOrder) -> bool:
        """Whether a version of it is to blame for an end."""
        with self._lock:
            return any(loss.digest in digests_of(order) for loss in self._losses)

    def _told_closed(self, begun: BegunAnswer) -> None:
        for gap in gaps(begun.closed, alone=begun.alone, connects=self._confinement.connects):
            if gap not in self._said:
                self._said.add(gap)
                self._note(gap)
        self._closed = begun.closed

    def _say(self, child: ChildProcess) -> None:
        server = {"restarts": self._restarts, "last_end": self._last or None, "landlock": self._closed}
        told = {**(plain(self._view) if self._view else {}), "server": server}
        with suppress(EndedError):
            child.send(StateOrder(state=canonical(told).decode()))
