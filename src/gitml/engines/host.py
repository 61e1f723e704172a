"""The process of an engine: it reads an order from stdin, has it run, and tells of each file that is done."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from gitml.engines.base import EngineSettings, Task
from gitml.engines.streamed import StreamJob
from gitml.engines.worker import said
from gitml.errors import GitmlError, OutsideError


@dataclass(frozen=True)
class EngineOrder:
    """``source``: a folder with the package gitml alone; ``job``: a pickled ``MapJob``, opened by workers only.
    ``stream``: what never ends, in place of ``tasks``."""

    settings: EngineSettings
    source: str
    job: bytes
    tasks: Sequence[Task]
    stream: StreamJob | None = None

    @property
    def module(self) -> str:
        """Of this package, with the engine's ``run``."""
        return f"{self.settings.name}stream" if self.stream else self.settings.name


def main() -> None:
    """Arguments: the folder of gitml's source, and the number of the open pipe that hears of what is done."""
    # An interrupt is for the process that asked; it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as told:
        # What the engine starts must not hold it open: the other end waits for it to close.
        os.set_inheritable(told.fileno(), False)

        def tell(event: dict[str, Any]) -> None:
            told.write(json.dumps(event) + "\n")
            told.flush()

        try:
            order = pickle.load(sys.stdin.buffer)  # noqa: S301 — from the process that started this one
            threading.Thread(target=_end_with_parent, daemon=True).start()
            # Every engine's module has one function `run`, which yields what its workers tell.
            for event in importlib.import_module(f"gitml.engines.{order.module}").run(order):
                tell(event)
                if "error" in event:
                    break
            else:
                tell({"end": True})
        except GitmlError as exc:
            tell(said(exc))
        except Exception as exc:  # the boundary of a process
            traceback.print_exc()
            first = (str(exc).strip().splitlines() or [""])[0][:500]
            tell(said(OutsideError(f"the engine failed: {type(exc).__name__}: {first}", "call it again: it resumes")))


def end_all(folder: str) -> None:
    """Kill every process of this machine that works in ``folder``, or has its temporary files there: a job's own.

    Engines start daemons in sessions of their own, and some outlive what started them by minutes.
    """
    ours = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            # Ray's write their title over their variables.
            is_here = process.cwd().startswith(folder) or process.environ().get("TMPDIR") == folder
            if is_here and process.pid != os.getpid():
                ours.append(process)
    for process in ours:
        with suppress(psutil.Error):
            process.kill()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    end_all(os.environ["TMPDIR"])
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)
