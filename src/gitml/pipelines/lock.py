"""One training at a time per clone, and no stage left over from a training that was killed."""

from __future__ import annotations

import getpass
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import psutil

from gitml import clock
from gitml.errors import LockedError, UsageError

# Stages inherit this variable, so that those which outlive a killed training can be found.
RUN_VARIABLE = "GITML_RUN"


@contextmanager
def training(root: Path, *, wait: bool, tell: Callable[[str], None], doing: str = "training") -> Iterator[None]:
    """Hold the clone's training lock; ``doing`` is what others are told who want it.

    Somebody else holds it: with ``wait`` say who and wait, otherwise raise LockedError that says who. The kernel
    drops the lock of a killed process; stages which that process left running are stopped before ours start.
    """
    refuse_without_dvc(root)
    folder = root / ".dvc" / "tmp" / "gitml"
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "train.lock", blocking=False)
    note = folder / "train.json"
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = _holder(note)
        if _read(note).get("run") == os.environ.get(RUN_VARIABLE, ""):
            raise LockedError(
                f"{holder} here, and runs the stage that asks for it", "a stage cannot train: call gitml outside of it"
            ) from None
        if not wait:
            raise LockedError(f"{holder} here", "wait for it, or leave out --no-wait") from None
        tell(f"{holder} here: waiting for it to end")
        lock.acquire(blocking=True)
    try:
        _stop_leftovers(note, tell)
        run = uuid.uuid4().hex
        note.write_text(
            json.dumps(
                {
                    "run": run,
                    "pid": os.getpid(),
                    "user": _user(),
                    "doing": doing,
                    "since": f"{clock.now():%Y-%m-%d %H:%M:%S} UTC",
                }
            ),
            encoding="utf-8",
        )
        os.environ[RUN_VARIABLE] = run
        yield
    finally:
        os.environ.pop(RUN_VARIABLE, None)
        note.unlink(missing_ok=True)
        lock.release()


def refuse_without_dvc(root: Path) -> None:
    """Raise UsageError unless DVC's own folder lies in ``root``: a folder of ours there would pass for DVC's."""
    if (root / ".dvc" / "config").is_file():
        return
    above = next((folder for folder in root.parents if (folder / ".dvc").is_dir()), None)
    how = "dvc init" if (root / ".git").exists() else "dvc init --subdir"
    if above is not None:
        raise UsageError(
            f"DVC works in {above}, above the folder of gitml.yaml ({root})",
            f"give the application a DVC of its own: run `{how}` in the folder of gitml.yaml",
        )
    if not (root / ".dvc").is_dir():
        raise UsageError(f"{root} is no DVC repository", f"run `gitml init` or `{how}` there")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _read(note: Path) -> dict[str, object]:
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _holder(note: Path) -> str:
    data = _read(note)
    if not data:
        return "another process is training"
    return f"{data.get('user')} (process {data.get('pid')}, since {data.get('since')}) is {data.get('doing')}"


def _stop_leftovers(note: Path, tell: Callable[[str], None]) -> None:
    """We hold the lock, so a note that still lies there is from a training that was killed."""
    run = _read(note).get("run")
    if not run:
        return
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run:
                tell(f"stopping {' '.join(process.cmdline())[:80]!r} (process {process.pid}): its training was killed")
                process.terminate()
                with suppress(psutil.TimeoutExpired):
                    process.wait(5)
                    continue
                process.kill()
                process.wait(5)
