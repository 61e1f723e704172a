"""The process beside a task of Flink in which models are loaded: it can be killed, and is started anew."""

from __future__ import annotations

import json
import os
import pickle
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

import pyarrow as pa

from gitml.engines.streamed import LINE, LINES_MADE, REASON, answered_rows
from gitml.engines.worker import digest_of, run_numbered, said, work_of
from gitml.errors import GitmlError, OutsideError
from gitml.process import start, stop

_TRIES = 4
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from gitml.engines.flinkworker import serve; serve()"


def sys_path_of_gitml() -> str:
    """Where Flink unpacked what it was sent.

    Its interpreter outlives a job: what it imported for the one before may be gone from the disk.
    """
    return next(place for place in reversed(sys.path) if Path(place, "gitml").is_dir())


class WorkerProcess:
    """A Python of the engine's environment that answers one question after the other, and is started anew if it is
    killed. ``source``: the folder of gitml's source; ``job``: a pickled ``MapJob``."""

    def __init__(self, source: str, python: str, job: bytes) -> None:
        self._source, self._python, self._job = source, python, job
        self._process: Popen[bytes] | None = None
        self._told: Any = None

    def ask(self, question: object, name: str) -> dict[str, Any]:
        """What ``serve`` says to it: events of a task, or of lines. ``name``: what people call it."""
        for _ in range(_TRIES):
            with suppress(OSError):
                if self._process is None:
                    self._start()
                self._send(question)
                if line := self._told.readline():
                    return dict(json.loads(line))
            self.close()
        why = f"{name}: its process was killed {_TRIES} times, perhaps for its memory"
        return said(OutsideError(why, "call it again: it goes on with what is not scored yet"))

    def _start(self) -> None:
        ours, theirs = os.pipe()
        command = [self._python, "-I", "-c", _CODE, self._source, str(theirs)]
        try:
            self._process = start(command, cwd=Path.cwd(), stdin=-1, stdout=-3, pass_fds=[theirs])
        finally:
            os.close(theirs)
        self._told = os.fdopen(ours, encoding="utf-8")
        self._send(self._job)

    def _send(self, value: object) -> None:
        assert self._process
        assert self._process.stdin
        pickle.dump(value, self._process.stdin)
        self._process.stdin.flush()

    def close(self) -> None:
        if self._told is not None:
            self._told.close()
        if self._process is not None:
            with suppress(OSError):
                assert self._process.stdin
                self._process.stdin.close()
            stop(self._process)
        self._process = self._told = None


def serve() -> None:
    """What such a process does. Arguments: the folder of gitml's source, and the number of the pipe for answers.

    A question is a numbered task, or a list of lines. It ends when stdin closes, and so with its JVM.
    """
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as told:
        os.set_inheritable(told.fileno(), False)
        job = pickle.load(sys.stdin.buffer)  # noqa: S301 — from the process that started this one
        digest = digest_of(job)
        with suppress(EOFError):
            while True:
                question = pickle.load(sys.stdin.buffer)  # noqa: S301 — the same
                if isinstance(question, list):
                    found = answered_lines(question, digest, job)
                else:
                    number, task = question
                    found = run_numbered(number, task, digest, lambda: job)
                told.write(json.dumps(found) + "\n")
                told.flush()


def answered_lines(lines: list[str], digest: str, job: bytes) -> dict[str, Any]:
    """``answered``: what the lines became; ``left_out``: those that became nothing, with the reason, as JSON. Each line
    is in one of both. Or the error that the job ends with."""
    found: dict[str, Any] = {"answered": [], "left_out": []}
    try:
        batches = iter([pa.record_batch({LINE: pa.array(lines, pa.string())})])
        for batch in answered_rows(work_of(digest, lambda: job), batches, LINES_MADE):
            for row in batch.to_pylist():
                if row[REASON] is None:
                    found["answered"].append(row[LINE])
                else:
                    found["left_out"].append(json.dumps(row, ensure_ascii=False))
    except GitmlError as exc:
        return said(exc)
    return found
