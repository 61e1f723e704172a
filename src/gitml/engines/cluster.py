"""Engines of clusters, each in a process of its own that runs the Python of the engine's environment.

An engine pins packages that gitml does not, and brings a JVM or servers along. So gitml only sends it what is to be
done, and hears from it; whatever becomes of it, the notes of what is done stay on this side.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Self

import gitml
from gitml.engines.base import Done, EngineSettings, MapJob, Task
from gitml.engines.host import EngineOrder, end_all
from gitml.engines.java import ON_JAVA, java_environment
from gitml.engines.streamed import StreamJob
from gitml.engines.worker import raised
from gitml.errors import OutsideError
from gitml.process import start, stop

_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from gitml.engines.host import main; main()"
_LINES, _LETTERS = 6, 1500
# Of each machine alone: what a Python of another environment or an engine would take for its own.
_UNSET = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "SPARK_CONF_DIR")


class ClusterEngine:
    """``settings.name``: a module of this package with ``run``, such as ``gitml.engines.spark``."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def map(self, job: MapJob, tasks: Iterator[Task], tell: Callable[[int], None]) -> Iterator[Done]:
        listed = list(tasks)
        folder = Path(self._open.enter_context(_scratch()))
        order = EngineOrder(self.settings, _source(folder), pickle.dumps(job), listed)
        for event in self._events(order, folder):
            done = Done(listed[event["task"]], event["rows"], event["facts"], event["rejected"])
            tell(done.rows + done.rejected)
            yield done

    def stream(self, job: StreamJob) -> Iterator[int]:
        """Until the block ends: how many rows were answered, about once a second. Raises OutsideError."""
        folder = Path(self._open.enter_context(_scratch()))
        order = EngineOrder(self.settings, _source(folder), pickle.dumps(job.map), (), job)
        for event in self._events(order, folder):
            yield event["rows"]

    def _events(self, order: EngineOrder, folder: Path) -> Iterator[dict[str, Any]]:
        ours, theirs = os.pipe()
        name = self.settings.name
        env = java_environment(name) if name in ON_JAVA else {}
        command = [self.settings.python or sys.executable, "-I", "-c", _CODE, order.source, str(theirs)]
        # All that it writes goes where this process clears up, whatever becomes of it.
        variables = {**dict.fromkeys(_UNSET), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder), **env}
        with os.fdopen(ours, encoding="utf-8") as events, (folder / "log").open("wb") as log:
            try:
                host = start(command, cwd=folder, env=variables, stdin=-1, stdout=log, stderr=log, pass_fds=[theirs])
            finally:
                os.close(theirs)
            assert host.stdin
            self._open.callback(_close, host.stdin)
            self._open.callback(end_all, str(folder))
            self._open.callback(stop, host)
            # One that ended before it read all says why in its last words. stdin stays open: the host ends when it
            # closes, and so with this process too.
            with suppress(BrokenPipeError):
                pickle.dump(order, host.stdin)
                host.stdin.flush()
            for line in events:
                event = json.loads(line)
                if "end" in event:
                    return
                if "error" in event:
                    raise raised(event["error"])
                yield event
        raise OutsideError(
            f"{name} ended before all was done: {_last_words(folder / 'log')}",
            "call it again: it goes on with the files that are not scored yet",
        )


def _scratch() -> tempfile.TemporaryDirectory[str]:
    # What was just killed may still be writing.
    return tempfile.TemporaryDirectory(prefix="gitml-engine-", ignore_cleanup_errors=True)


def _close(stream: IO[bytes]) -> None:
    with suppress(BrokenPipeError):  # of what was not sent yet
        stream.close()


def _source(folder: Path) -> str:
    """A folder with this gitml and nothing else: the same code everywhere, and none of this environment's packages."""
    place = folder / "source"
    unwanted = shutil.ignore_patterns("_templates", "__pycache__", "*.pyc", "*.so")
    shutil.copytree(Path(gitml.__file__).parent, place / "gitml", ignore=unwanted)
    return str(place)


def _last_words(log: Path) -> str:
    lines: Sequence[str] = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = " / ".join(line.strip() for line in lines[-_LINES:])
    return said[-_LETTERS:] or "it said nothing, so perhaps it was killed, for its memory"
