"""Models that harm the process they answer in, for tests that let a pickle in. The first column says what is done."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ENDS, FAULTS, HANGS, RAISES = 13.0, 14.0, 15.0, 16.0


class Deadly:
    """Answers a, unless that is one of the numbers above."""

    def predict(self, rows: Any) -> Any:
        first = float(rows[0][0])
        if first == ENDS:
            os.write(2, b"deadly: that was all\n")
            os._exit(3)
        if first == FAULTS:
            ctypes.string_at(0)
        if first == HANGS:
            # With the interpreter's lock held, as a library that never gives it back.
            ctypes.PyDLL(None).sleep(600)
        if first == RAISES:
            raise ValueError("out of range")
        return rows[:, 0]


class Calm:
    """Answers −a, whatever it is asked."""

    def predict(self, rows: Any) -> Any:
        return -rows[:, 0]


@dataclass
class Once:
    """Can be loaded once on this machine, in whichever process comes first. Answers a."""

    folder: str

    def __setstate__(self, state: dict[str, str]) -> None:
        os.mkdir(state["folder"])
        self.folder = state["folder"]

    def predict(self, rows: Any) -> Any:
        return rows[:, 0]


@dataclass
class Looking:
    """Answers 1 where it could do what the first column says: read a file, a process's variables and memory, call a
    server, signal a process, run a program, start a process."""

    file: str
    process: int
    url: str

    def _fork(self) -> None:
        if not os.fork():
            os._exit(0)

    def predict(self, rows: Any) -> Any:
        steps: dict[float, Callable[[], object]] = {
            1.0: Path(self.file).read_bytes,
            2.0: Path(f"/proc/{self.process}/environ").read_bytes,
            3.0: lambda: socket.create_connection(("127.0.0.1", urlsplit(self.url).port or 0), 5).close(),
            5.0: lambda: subprocess.run(["/bin/true"], check=True),
            4.0: lambda: os.kill(self.process, signal.SIGCONT),
            6.0: self._fork,
        }
        done = 0.0
        with suppress(OSError):
            steps.get(float(rows[0][0]), bool)()
            done = 1.0
        return rows[:, 0] * 0 + done
