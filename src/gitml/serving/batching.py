"""One model, many callers: requests that arrive together are answered by one call.

Nobody waits for company. Requests that came in on the same turn of the event loop, or while the model was busy, go
together; a request that is alone goes alone, at once. How a model is called is measured when it is loaded: at once
where a batch would gain nothing, on the loop where a call is short, else on a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from gitml.errors import OutsideError
from gitml.models.model import Answers, Predictor
from gitml.models.signature import Rows
from gitml.serving.limits import Limits

# A call that takes longer than this (seconds) would hold up everybody else on the loop.
SHORT = 0.003
# A batch must save more than this per request, or the bookkeeping costs more than it gains.
WORTH = 0.000_06


class BusyError(OutsideError):
    """Too much waits already; the caller may try again."""


class SlowError(OutsideError):
    """The model did not answer in time."""


@dataclass(frozen=True)
class Cost:
    """Seconds for a call, and for each row of it."""

    call: float
    row: float

    def of(self, rows: int) -> float:
        return self.call + rows * self.row


@dataclass
class _Job:
    rows: Rows
    answer: asyncio.Future[Answers]


def measure(model: Predictor) -> Cost:
    """The best of some calls with 1 and with 32 rows."""
    one, many = (_best(model, model.some(count)) for count in (1, 32))
    row = max(many - one, 0.0) / 31
    return Cost(max(one - row, 0.0), row)


def _best(model: Predictor, rows: Rows) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        model.answers(rows)
        best = min(best, time.perf_counter() - began)
    return best


class Runner:
    """Calls one model for everybody, on the thread of the event loop. Its own thread ends when nobody holds it."""

    def __init__(self, model: Predictor, limits: Limits) -> None:
        self.model = model
        self.cost = measure(model)
        self._limits = limits
        self._jobs: list[_Job] = []
        self._waiting = 0
        self._scheduled = self._away = False
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def how(self) -> str:
        """`at once`, `batches` on the loop, or `thread`."""
        if self.cost.of(1) > SHORT or not self.model.steady:
            return "thread"
        return "batches" if self.cost.call > WORTH else "at once"

    async def answers(self, rows: Rows) -> Answers:
        """Shape (rows, outputs). Raises what the model raises, BusyError at once, or SlowError in time."""
        if self.cost.call <= WORTH and self._is_short(len(rows)):
            return self.model.answers(rows)
        if self._jobs and self._waiting + len(rows) > self._limits.waiting:
            raise BusyError("too many rows wait for this model", "try again in a second")
        loop = asyncio.get_running_loop()
        job = _Job(rows, loop.create_future())
        self._jobs.append(job)
        self._waiting += len(rows)
        self._schedule(loop)
        # Not ``asyncio.timeout``, which wants a task: a request that is answered at once has none.
        timer = loop.call_later(self._limits.seconds, self._give_up, job)
        try:
            return await job.answer
        finally:
            timer.cancel()

    def _give_up(self, job: _Job) -> None:
        if not job.answer.done():
            late = SlowError(f"the model did not answer within {self._limits.seconds:g} s", "send fewer rows")
            job.answer.set_exception(late)

    def _is_short(self, rows: int) -> bool:
        """Whether a call may be made on the loop. A model that hangs by a value would hang all others with it."""
        return self.model.steady and self.cost.of(rows) <= SHORT

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._jobs and not self._scheduled and not self._away:
            self._scheduled = True
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        jobs = self._take()
        count = sum(len(job.rows) for job in jobs)
        if not jobs:
            return
        if self._is_short(count):
            _settle(_answered(self.model, jobs))
            self._schedule(loop)
            return
        self._away = True

        def task() -> None:
            loop.call_soon_threadsafe(self._back, loop, _answered(self.model, jobs))

        self._on_thread(task)

    def _back(self, loop: asyncio.AbstractEventLoop, found: list[tuple[_Job, Answers | Exception]]) -> None:
        self._away = False
        _settle(found)
        self._schedule(loop)

    def _take(self) -> list[_Job]:
        """The next jobs, as many as fit into a batch; those that nobody waits for any more are left out."""
        taken: list[_Job] = []
        rows = count = 0
        for job in self._jobs:
            if taken and rows + len(job.rows) > self._limits.batch:
                break
            count += 1
            self._waiting -= len(job.rows)
            if not job.answer.done():
                taken.append(job)
                rows += len(job.rows)
        del self._jobs[:count]
        return taken

    def _on_thread(self, task: Callable[[], None]) -> None:
        if self._thread is None:
            # A daemon, because a model that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=_work, args=(self._tasks,), daemon=True, name="gitml-model")
            self._thread.start()
            weakref.finalize(self, self._tasks.put, None)
        self._tasks.put(task)


def _work(tasks: SimpleQueue[Callable[[], None] | None]) -> None:
    while (task := tasks.get()) is not None:
        try:
            task()
        except RuntimeError:  # the loop is closed: the server has ended
            return


def _answered(model: Predictor, jobs: list[_Job]) -> list[tuple[_Job, Answers | Exception]]:
    """Every job with its answer; where the batch fails, each alone, so that only the guilty one has the error."""
    if len(jobs) == 1:
        return [(jobs[0], _one(model, jobs[0].rows))]
    found = _one(model, np.concatenate([job.rows for job in jobs]))
    if isinstance(found, Exception):
        return [(job, _one(model, job.rows)) for job in jobs]
    ends = np.cumsum([len(job.rows) for job in jobs])[:-1]
    return list(zip(jobs, np.split(found, ends), strict=True))


def _one(model: Predictor, rows: Rows) -> Answers | Exception:
    try:
        return model.answers(rows)
    except Exception as exc:  # a request's boundary: it goes to whoever asked
        return exc


def _settle(found: list[tuple[_Job, Answers | Exception]]) -> None:
    for job, answer in found:
        if job.answer.done():
            continue
        if isinstance(answer, Exception):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)
