"""One process of a server as its supervisor sees it: started, asked, and ended. It believes what fits, and no more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from gitml.agent.calls import CallMarks, new_marks
from gitml.agent.channel import Channel, ChannelError
from gitml.agent.childlog import keep
from gitml.agent.confinement import Confinement
from gitml.agent.messages import ANSWER, LONGEST_ANSWER, Answer, Knock, Remark
from gitml.errors import OutsideError
from gitml.process import start_apart

# Messages: so many in a second, and so many at once. Who says more keeps the supervisor from its work.
_RATE, _BURST = 50.0, 1000.0

A = TypeVar("A", bound=BaseModel)


class EndedError(OutsideError):
    """The process ended, or was ended because of what it did."""


@dataclass(frozen=True)
class ChildPatience:
    """Seconds: ``begin`` for a process to be there, ``load`` for each version, ``look`` between looks at it, ``silent``
    without a word or a turn of its loop, ``end`` for the last requests and the log. It is started again at once, then
    after ``first``, doubled up to ``longest``; after ``calm`` an end is the first one again.
    """

    begin: float = 120.0
    load: float = 400.0
    look: float = 5.0
    silent: float = 30.0
    end: float = 45.0
    first: float = 0.5
    longest: float = 60.0
    calm: float = 300.0

    def before(self, ends: int) -> float:
        """How long to wait after so many ends in a row."""
        return 0.0 if ends <= 1 else min(self.longest, self.first * 2.0 ** min(ends - 2, 20))


class _Waiting(NamedTuple):
    kinds: tuple[type[Any], ...]
    answer: Future[Any]


class ChildProcess:
    """Starts it. Any thread may ask; ``knocked`` and ``remarked`` are called by a thread of this object."""

    def __init__(
        self,
        confinement: Confinement,
        listener: socket.socket | None,
        knocked: Callable[[], None],
        remarked: Callable[[str], None],
    ) -> None:
        self._knocked, self._remarked = knocked, remarked
        self._waiting: dict[int, _Waiting] = {}
        self._lock, self._number, self._why = threading.Lock(), 0, ""
        self.began, self.ended = time.monotonic(), threading.Event()
        ours, theirs = socket.socketpair()
        descriptor = new_marks()
        try:
            self._process = _started(confinement, theirs, descriptor, listener)
            self.marks = CallMarks(descriptor)
        finally:
            theirs.close()
            os.close(descriptor)
        assert self._process.stderr
        keep(self._process.stderr, confinement.said)
        self._channel = Channel(ours, LONGEST_ANSWER)
        self._reader = threading.Thread(target=self._read, daemon=True, name="gitml-child")
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def why(self) -> str:
        """Why it ended, in words."""
        if self._why:
            return f"the server's process was ended: {self._why}"
        code = self._process.poll()
        if code is None:
            return "the server's process does not speak any more"
        word = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the server's process ended ({word})"

    def send(self, message: BaseModel) -> None:
        """Raises EndedError."""
        try:
            self._channel.send(message)
        except ChannelError as exc:
            self._await_end(1.0)
            self.kill(str(exc))
            raise EndedError(self.why) from exc

    def ask(self, message: BaseModel, seconds: float, *kinds: type[A]) -> A:
        """Its answer, of one of these kinds. Raises EndedError; who is late is ended."""
        with self._lock:
            if self.ended.is_set():
                raise EndedError(self.why)
            self._number += 1
            number, answer = self._number, Future[A]()
            self._waiting[number] = _Waiting(kinds, answer)
        self.send(message.model_copy(update={"number": number}))
        try:
            return answer.result(seconds)
        except LateError:
            self.kill(f"it did not answer within {seconds:g} s")
            raise EndedError(self.why) from None

    def kill(self, why: str) -> None:
        """End it at once, with its children."""
        if self._process.poll() is None:
            self._why = self._why or why
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._channel.close()

    def _await_end(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def _read(self) -> None:
        """Until its end. Whatever is not what it should be ends it."""
        room, last = _BURST, time.monotonic()
        try:
            while True:
                content = self._channel.receive()
                now = time.monotonic()
                room, last = min(_BURST, room + _RATE * (now - last)) - 1, now
                if room < 0:
                    raise ChannelError("it says too much")
                self._heard(ANSWER.validate_json(content))
        except ValidationError as exc:
            self.kill(f"it says what is no answer: {exc.errors()[0]['msg']}"[:300])
        except ChannelError as exc:
            # Where it ended by itself, that says more.
            self._await_end(1.0)
            self.kill(str(exc))
        self._await_end(10.0)
        with self._lock:
            self.ended.set()
            waiting = [*self._waiting.values()]
        for one in waiting:
            one.answer.set_exception(EndedError(self.why))

    def _heard(self, answer: Answer) -> None:
        if isinstance(answer, Knock):
            self._knocked()
        elif isinstance(answer, Remark):
            self._remarked(answer.text)
        else:
            with self._lock:
                waiting = self._waiting.pop(answer.number, None)
            if waiting is None or not isinstance(answer, waiting.kinds):
                raise ChannelError("it answers what nobody asked")
            waiting.answer.set_result(answer)


def _started(
    confinement: Confinement, end: socket.socket, marks: int, listener: socket.socket | None
) -> subprocess.Popen[bytes]:
    user, number = confinement.user, listener.fileno() if listener else None
    place = confinement.place(end.fileno(), marks, number)
    return start_apart(
        confinement.program,
        place.model_dump_json(),
        piped=False,
        stderr=subprocess.PIPE,
        pass_fds=[end.fileno(), marks, *([number] if number is not None else [])],
        more=confinement.environment(),
        user=user.number if user else None,
        group=user.group if user else None,
    )
