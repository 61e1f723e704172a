"""Environments built from locked packages, kept in the user's cache folder so that the second use is free."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
from packaging.utils import canonicalize_name

from gitml.dvc.lockentries import sha256_of
from gitml.dvc.manifest import fingerprint
from gitml.errors import InconclusiveError, OutsideError
from gitml.files import write_file
from gitml.pipelines.environment import stage_environment
from gitml.pipelines.packages import read_lock
from gitml.process import run, run_logged

# Settings of the caller that would make Python or pip look elsewhere than into the environment; empty means unset.
_ISOLATED = {
    "PYTHONHOME": "",
    "PYTHONPATH": "",
    "PYTHONNOUSERSITE": "1",
    "PIP_TARGET": "",
    "PIP_PREFIX": "",
    "PIP_USER": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
}
_COMPLETE = "gitml-complete.json"
Watch = Callable[[str, Path], AbstractContextManager[None]]


@dataclass(frozen=True)
class StageEnvironment:
    """``version`` is the Python's; ``unlocked`` names installed packages that the lock file does not pin."""

    python: Path
    version: str
    unlocked: tuple[str, ...] = ()


def current_environment() -> StageEnvironment:
    """The one that gitml itself runs in."""
    return StageEnvironment(Path(sys.executable), platform.python_version())


def environments_folder() -> Path:
    """``$XDG_CACHE_HOME/gitml/environments`` (https://specifications.freedesktop.org/basedir-spec)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "gitml" / "environments"


def recorded_environment(root: Path, lock: str, python: str, watch: Watch) -> StageEnvironment:
    """The environment with the packages of the file ``lock`` below ``root`` and a Python like ``python`` (3.11.7).

    Built once and kept. Raises InconclusiveError when there is no such Python or the packages cannot be installed.
    """
    minor = ".".join(python.split(".")[:2])
    base = find_python(minor)
    folder = environments_folder() / _name(root / lock, minor)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not built under another name and moved: the paths in a virtual environment's scripts are absolute. What counts
    # is the note that is written last, and the lock keeps two builders apart.
    with filelock.FileLock(f"{folder}.lock"):
        if not _works(folder, minor):
            _build(folder, base, root, lock, watch)
    return _noted(folder)


def built_environment(lock: Path, python: str) -> StageEnvironment | None:
    """What ``recorded_environment`` has built of the file ``lock`` already, or None."""
    minor = ".".join(python.split(".")[:2])
    folder = environments_folder() / _name(lock, minor)
    return _noted(folder) if _works(folder, minor) else None


def _noted(folder: Path) -> StageEnvironment:
    note = json.loads((folder / _COMPLETE).read_bytes())
    return StageEnvironment(_python_of(folder), note["python"], tuple(note["unlocked"]))


def _name(lock: Path, minor: str) -> str:
    about = [fingerprint(lock).sha256, minor, platform.system(), platform.machine()]
    return sha256_of(about)[:20]


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _works(folder: Path, minor: str) -> bool:
    """A killed build has no note; the Python that one was built from may have been removed since."""
    return (folder / _COMPLETE).is_file() and _version(_python_of(folder)).startswith(f"{minor}.")


def find_python(minor: str) -> Path:
    """A Python of the version ``minor`` (3.11): ours, or one on PATH. Raises InconclusiveError if there is none."""
    places = [Path(p, f"python{minor}") for p in os.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(p)]
    for candidate in (Path(sys.executable), *places):
        # pyenv has shims for versions that are installed but not switched on: only running one tells.
        if candidate.exists() and _version(candidate).startswith(f"{minor}."):
            return candidate
    raise InconclusiveError(
        f"it was trained with Python {minor}, and there is no python{minor} here",
        f"install Python {minor} and put it on PATH, or use --environment current",
    )


def _version(python: Path) -> str:
    question = "import platform; print(platform.python_version())"
    try:
        return run([python, "-I", "-c", question], cwd=Path("/"), timeout=60).stdout.decode().strip()
    except (OutsideError, OSError):
        return ""


def _build(folder: Path, base: Path, root: Path, lock: str, watch: Watch) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    log = Path(f"{folder}.log")
    with watch("environment", log):
        _step([base, "-I", "-m", "venv", folder], root, log, f"{base} cannot make virtual environments")
        # With what the packages need beside the lock: a GPU build of torch brings libraries that no lock for all
        # machines can name. Whatever comes in so is named in the verdict.
        install: list[str | Path] = [_python_of(folder), "-m", "pip", "install", "--progress-bar=off", "-r", lock]
        _step(install, root, log, f"the packages of {lock} cannot be installed")
    note = {"python": _version(_python_of(folder)), "unlocked": _unlocked(folder, root, lock)}
    write_file(folder / _COMPLETE, json.dumps(note).encode())


def _step(command: Sequence[str | Path], root: Path, log: Path, failure: str) -> None:
    if run_logged(command, cwd=root, env=_ISOLATED, log=log) == 0:
        return
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line for line in lines if re.match(r"(?i)\s*error", line)] or lines
    raise InconclusiveError(
        f"{failure}: {' / '.join(line.strip() for line in errors[-3:])}",
        f"is the package index reachable? All that was said: {log}; or use --environment current",
    )


def _unlocked(folder: Path, root: Path, lock: str) -> list[str]:
    pinned = {canonicalize_name(wanted.name) for wanted in read_lock(root, lock)} | {"pip", "setuptools"}
    listed = run([_python_of(folder), "-m", "pip", "list", "--format=json"], cwd=root, env=_ISOLATED).stdout
    found = {canonicalize_name(p["name"]): f"{p['name']}=={p['version']}" for p in json.loads(listed)}
    return sorted(text for name, text in found.items() if name not in pinned)


@contextmanager
def stages_run_in(environment: StageEnvironment, *, isolated: bool) -> Iterator[None]:
    """``python`` in a stage's command is this environment's; ``isolated`` keeps the caller's own packages out."""
    names = ("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "VIRTUAL_ENV") if isolated else ()
    before = {name: os.environ.get(name) for name in names}
    try:
        for name in names:
            os.environ.pop(name, None)
        if isolated:
            os.environ["PYTHONNOUSERSITE"] = "1"
            os.environ["VIRTUAL_ENV"] = str(environment.python.parent.parent)
        with stage_environment(environment.python.parent):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
