"""A version is loaded and asked for the first time in a process that has nothing to lose.

It inherits no variable, no open file and no key, has no network where the kernel allows that, and ends at a deadline. A
model that loops for ever, eats the memory or brings its runtime down takes that process with it, and nobody else. What
passes is loaded again where it serves: from the same bytes, by their digest.

One host process imports the libraries once; each load is a fork of it. It starts with the first load, and ends with us.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, OutsideError, UsageError
from gitml.models.libraries import prepare
from gitml.models.quarantineorder import LONGEST_ANSWER, QuarantineAnswer, QuarantineOrder
from gitml.process import start_apart, stop

_IDLE = 120.0  # seconds
_ERRORS: Mapping[str, type[GitmlError]] = {
    "integrity": IntegrityError,
    "usage": UsageError,
    "failed": FailedError,
    "inconclusive": InconclusiveError,
}


@dataclass(frozen=True)
class QuarantineLimits:
    """Of one load. ``seconds`` from the moment that the libraries are there, ``start`` for these.

    ``memory`` in bytes, and eight times the size of the file on top of it.
    """

    seconds: float = 60.0
    start: float = 180.0
    memory: int = 4 << 30


class Quarantine:
    """The host process. Threads may share it; they wait for one another.

    ``loads_here``: what passes is loaded by this process next, so it imports the libraries meanwhile.
    """

    def __init__(self, limits: QuarantineLimits | None = None, *, loads_here: bool = True) -> None:
        self.limits, self._loads_here = limits or QuarantineLimits(), loads_here
        # None before the first load: only then it is known what the kernel allows.
        self.offline: bool | None = None
        self._lock = threading.Lock()
        self._used = time.monotonic()
        self._host: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._stop()

    def rest(self) -> None:
        """End the host process when it was not needed for a while: it holds a few hundred megabytes."""
        if time.monotonic() - self._used > _IDLE:
            self.close()

    def try_load(
        self,
        path: Path,
        format: str,  # noqa: A002 - the word of gitml.yaml
        signature: Mapping[str, Any],
        *,
        sha256: str,
        allow_pickle: bool = False,
        samples: Path | None = None,
    ) -> None:
        """As ``gitml.models.loading.load``, and let it answer ``samples``; whatever it answers, it does answer.

        Raises what that raises, FailedError where it brings its process down, and InconclusiveError where it does not
        come to an end within the limits: a faster or larger machine may say otherwise.
        """
        size = path.stat().st_size if path.is_file() else 0
        order = QuarantineOrder(
            path=str(path.absolute()),
            format=format,
            signature=dict(signature),
            sha256=sha256,
            allow_pickle=allow_pickle,
            samples=str(samples.absolute()) if samples else "",
            seconds=self.limits.seconds,
            memory=self.limits.memory + 8 * size,
        )
        with self._lock:
            answer = self._asked(order)
            self._used = time.monotonic()
        self.offline = answer.offline
        if answer.outcome != "passed":
            error = _ERRORS[answer.outcome](answer.message, answer.hint)
            raise error from (ImportError(name=answer.package) if answer.package else None)

    def _asked(self, order: QuarantineOrder) -> QuarantineAnswer:
        host = self._running()
        assert host.stdin
        assert host.stdout
        try:
            host.stdin.write(order.model_dump_json().encode() + b"\n")
            host.stdin.flush()
            if self._loads_here:
                prepare(order.format, samples=bool(order.samples))
            line = _line(host.stdout.fileno(), self.limits.start + order.seconds)
            return QuarantineAnswer.model_validate_json(line)
        except (OSError, ValidationError) as exc:
            self._stop()
            raise OutsideError(
                f"the process that tries models did not answer: {exc}", "is there memory left on this machine?"
            ) from exc

    def _running(self) -> subprocess.Popen[bytes]:
        if self._host is None or self._host.poll() is not None:
            self._stop()
            self._host = start_apart("gitml.models.quarantinehost")
        return self._host

    def _stop(self) -> None:
        host, self._host = self._host, None
        if host is not None:
            stop(host)
            for pipe in (host.stdin, host.stdout):
                if pipe:
                    pipe.close()


def can_go_offline() -> bool:
    """Whether this machine's kernel lets a process leave the network."""
    asked = start_apart("gitml.confined")
    asked.communicate()
    return asked.returncode == 0


def _line(descriptor: int, seconds: float) -> bytes:
    """One line, of at most LONGEST_ANSWER bytes. Raises OSError when it does not come in time."""
    until, found = time.monotonic() + seconds, b""
    while not found.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(descriptor, LONGEST_ANSWER) if ready else b""
        found += piece
        if not piece or len(found) > LONGEST_ANSWER:
            raise OSError("it ended" if ready else f"nothing came within {seconds:.0f} s")
    return found
