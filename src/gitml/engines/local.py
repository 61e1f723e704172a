"""The local engine: files side by side in processes of their own, or one after the other in this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Self

import pyarrow as pa

from gitml.engines.base import Done, MapJob, Task, run_task
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, OutsideError, UsageError

_LISTEN = 0.2


class LocalEngine:
    """``workers`` processes; with one, the work is done in this process."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values())  # noqa: SLF001 — a file may take hours to end
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
            self._pool = None

    def map(self, job: MapJob, tasks: Iterator[Task], tell: Callable[[int], None]) -> Iterator[Done]:
        if self.workers == 1:
            work = job.make()
            for task in tasks:
                yield run_task(task, work, job.batch_rows, tell)
            return
        yield from self._side_by_side(job, tasks, tell)

    def _side_by_side(self, job: MapJob, tasks: Iterator[Task], tell: Callable[[int], None]) -> Iterator[Done]:
        # spawn: a fork would copy the threads' locks of Arrow and OpenMP, held as they are.
        context = multiprocessing.get_context("spawn")
        read = context.Value("q", 0)
        self._pool = ProcessPoolExecutor(self.workers, context, initializer=_prepare, initargs=(job, read))
        told = 0
        running: set[Future[Done]] = set()
        try:
            # Few wait at a time: a data set of a million files is no list of a million futures.
            while running or (running := self._submit(tasks, self.workers)):
                done, running = wait(running, timeout=_LISTEN, return_when=FIRST_COMPLETED)
                told, now = read.value, told
                tell(told - now)
                running |= self._submit(tasks, 2 * self.workers - len(running))
                for future in done:
                    yield future.result()
        except BrokenProcessPool as exc:
            raise OutsideError(
                "a worker process was killed, perhaps for its memory", "call it again with fewer --workers: it resumes"
            ) from exc
        tell(read.value - told)

    def _submit(self, tasks: Iterator[Task], count: int) -> set[Future[Done]]:
        pool = self._pool
        return {pool.submit(_run, task) for task in islice(tasks, max(count, 0))} if pool else set()


# What a worker process keeps from task to task; nothing in the process that asked.
_HERE: dict[str, Any] = {}


def _prepare(job: MapJob, read: Any) -> None:
    """In a worker, before its first task. An interrupt is for the process that asked; without that one, end too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    pa.set_cpu_count(1)
    _HERE.update(job=job, read=read)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(task: Task) -> Done:
    job, read = _HERE["job"], _HERE["read"]

    def tell(rows: int) -> None:
        with read.get_lock():
            read.value += rows

    try:
        if "work" not in _HERE:
            _HERE["work"] = job.make()
        return run_task(task, _HERE["work"], job.batch_rows, tell)
    except GitmlError as exc:
        # Errors with parts of their own do not survive the way between processes; what they say does.
        kind = next(k for k in (*_KINDS, GitmlError) if isinstance(exc, k))
        raise kind(exc.message, exc.hint) from None


_KINDS: tuple[type[GitmlError], ...] = (UsageError, FailedError, InconclusiveError, IntegrityError, OutsideError)
