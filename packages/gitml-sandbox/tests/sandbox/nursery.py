"""Processes of the sandbox, forked from one that has imported everything: sixty kills do not wait for sixty starts."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL

_PARENT = """
import json, os, sys
from gitml_sandbox.__main__ import main
import gitml_sandbox.server.serve
from sandbox import killpoints
def child(order):
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if order["point"]:
        killpoints.install(order["point"])
    sys.argv[1:] = order["words"]
    if order["code"]:
        exec(order["code"], {"__name__": "__main__"})
        sys.exit(0)
    sys.exit(main())
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        told = os.waitpid(order["wait"], os.WNOHANG)
        print(*told, flush=True)
        continue
    pid = os.fork()
    if not pid:
        child(order)
    print(pid, flush=True)
"""


class Forked:
    """One process; what tests ask of subprocess.Popen."""

    def __init__(self, parent: Nursery, pid: int) -> None:
        self._parent, self.pid = parent, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = self._parent.ask({"wait": self.pid}).split()
            if int(pid):
                self.returncode = os.waitstatus_to_exitcode(int(status))
        return self.returncode

    def wait(self, seconds: float) -> int | None:
        """The exit code, -9 after a kill; None when it goes on."""
        pause = threading.Event()
        for _ in range(int(seconds * 100)):
            if self.poll() is not None:
                break
            pause.wait(0.01)
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, SIGKILL)


class Nursery:
    """The parent of them all. It has one thread, so forking it is safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )

    def ask(self, order: Mapping[str, object]) -> str:
        with self._guard:
            assert self._popen.stdin is not None
            assert self._popen.stdout is not None
            self._popen.stdin.write(json.dumps(order) + "\n")
            self._popen.stdin.flush()
            return self._popen.stdout.readline()

    def start(self, words: Sequence[str], log: Path, *, point: str = "", code: str = "") -> Forked:
        """Run `gitml-sandbox WORDS`, or ``code`` with these words, in a process that dies at ``point``."""
        return Forked(self, int(self.ask({"words": list(words), "log": str(log), "point": point, "code": code})))


@functools.cache
def nursery() -> Nursery:
    """One for each process of tests; it ends with the test process, when its input does."""
    return Nursery()
