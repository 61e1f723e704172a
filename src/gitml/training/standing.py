"""A training that has nothing to do, seen without DVC: nothing that the last one looked at has changed since.

As Git's index does, this goes by what the file system says of a file: inode, size, mode, and when it last changed. What
changed while DVC looked may change once more without another time, so a look is noted only if all that it saw is
older than its beginning (Git calls the rest racily clean). Whatever differs, and whatever is no plain file on the disk
of this clone, is left to DVC.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml import __version__
from gitml.errors import SpecError
from gitml.files import write_file
from gitml.pipelines.ran import How, Ran
from gitml.registry.store import Found, folder, read_record
from gitml.training.trained import Trained, TrainOutcome

# Of more files, DVC is asked each time: the note would be large, and looking at each takes most of the time.
_MOST = 200_000
# Where DVC's own settings come from.
_SETTINGS = ("DVC_", "HOME", "XDG_")


@dataclass(frozen=True)
class SeenPlaces:
    """What was seen of the places, when the newest of it changed (nanoseconds), and on which disks it lies."""

    digest: str
    newest: int
    disks: frozenset[int]


@dataclass(frozen=True)
class Beginning:
    """A moment by the clock of the disk that the clone lies on, and what was asked then, with which settings."""

    time: int
    disk: int
    about: str


def begin(root: Path) -> Beginning:
    """Now. To be called before anything is looked at."""
    probe = _note(root).with_suffix(".now")
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_bytes(b"")
    found = probe.stat()
    return Beginning(found.st_mtime_ns, found.st_dev, _about(root))


def remember(
    root: Path, since: Beginning, places: Sequence[str] | None, found: Sequence[Trained], all_: Sequence[str]
) -> None:
    """Note that training gave ``found``, which changed nothing; ``all_`` are the models that it trains when unasked.

    ``places`` are all that it looked at since the beginning, or None.
    """
    look = _look(places) if places is not None and len(places) <= _MOST else None
    if places is None or look is None or look.newest >= since.time or look.disks - {since.disk}:
        _note(root).unlink(missing_ok=True)
        return
    models = {one.model: [one.record.version, [ran.stage for ran in one.stages]] for one in found}
    noted = {"about": since.about, "places": places, "seen": look.digest, "models": models, "all": all_}
    write_file(_note(root), json.dumps(noted).encode())


def is_ci() -> bool:
    """CI systems set CI; unset, empty, 0 and false mean a person's machine."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def standing(root: Path, models: Sequence[str]) -> list[Trained] | None:
    """What training these models, or all, gives where there is nothing to do; None when DVC is to be asked.

    In CI that is always so, as it refuses a tree that is not clean.
    """
    if is_ci():
        return None
    try:
        noted = json.loads(_note(root).read_bytes())
        if noted["about"] != _about(root) or noted["seen"] != _look(noted["places"]).digest:
            return None
        return [_stands(root, name, *noted["models"][name]) for name in dict.fromkeys(models or noted["all"])]
    except (OSError, ValueError, KeyError, TypeError, SpecError):
        return None


def _stands(root: Path, name: str, version: str, stages: Sequence[str]) -> Trained:
    found = Found(version, str(folder(root, name)))
    record = read_record(found)
    entries = record.entries()
    done = tuple(Ran(stage, How.UP_TO_DATE, 0.0, entries[stage]) for stage in stages)
    return Trained(name, TrainOutcome.SAME, record, found.path, done, None)


def _note(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "gitml" / "standing.json"


def _look(places: Iterable[str]) -> SeenPlaces:
    seen, newest, disks = hashlib.sha256(), 0, set()
    for place in places:
        try:
            found = os.lstat(place)
        except OSError:
            seen.update(f"{place}\0\0".encode(errors="surrogateescape"))
            continue
        parts = found.st_mode, found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        seen.update(f"{place}\0{parts}\0".encode(errors="surrogateescape"))
        newest = max(newest, found.st_mtime_ns, found.st_ctime_ns)
        disks.add(found.st_dev)
    return SeenPlaces(seen.hexdigest(), newest, frozenset(disks))


def _about(root: Path) -> str:
    """What else it depends on whether a stage is up to date: who asks, where, with which programs and settings.

    Where, because a clone that was copied with all that is in it has a note of the files of the other one.
    """
    dvc = importlib.util.find_spec("dvc")
    # Without the time of the inode's change: environments share files by links, and their number is a part of it.
    found = os.stat(dvc.origin) if dvc and dvc.origin else None
    programs = [__version__, sys.version, *((found.st_ino, found.st_size, found.st_mtime_ns) if found else ())]
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith(_SETTINGS))
    return hashlib.sha256(json.dumps([os.path.abspath(root), programs, settings, os.getuid()]).encode()).hexdigest()
