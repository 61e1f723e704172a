"""The recorded bytes of a stage's outputs: found again where DVC does not look, and put back.

A stage may give other bytes each time that it runs; a record names those that were judged, approved and deployed. So
the lock entry follows the record, never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gitml.dvc.lockentries import Content, Entry
from gitml.dvc.manifest import Fingerprint, fingerprint, verify
from gitml.dvc.repository import Dvc
from gitml.files import write_file
from gitml.pipelines.journal import KEPT


def find_again(dvc: Dvc, stage: str, entry: Entry, outputs: Mapping[str, Fingerprint]) -> None:
    """Put into DVC's cache what it lacks of ``entry`` and lies in the work tree, or where gitml keeps artifacts.

    Otherwise a stage whose bytes are all there would run, and the next run would overwrite the last copy of them.
    """
    for out in entry.outs:
        wanted = outputs.get(out.path)
        if wanted and out.digest.startswith("md5:") and dvc.object_path(out) is None:
            place = _place(dvc.root, out, wanted)
            if place:
                dvc.take(stage, out, place)


@contextmanager
def kept_unless_done(dvc: Dvc, stage: str) -> Iterator[None]:
    """Put back the outputs that live in Git if the stage does not end well: DVC deletes them before it runs."""
    in_git = [dvc.root / path for path, cached in dvc.is_cached(stage).items() if not cached]
    before = {file: file.read_bytes() for place in in_git for file in _files(place)}
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            for file, raw in before.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_file(file, raw)


def _files(place: Path) -> list[Path]:
    if place.is_symlink():
        return []
    return [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]


def _place(root: Path, out: Content, wanted: Fingerprint) -> Path | None:
    for place in (root / out.path, root / KEPT / wanted.sha256):
        if place.exists() and not place.is_symlink() and fingerprint(place) == wanted:
            return place
    return None


def differing(recorded: Mapping[str, Entry], found: Mapping[str, Entry], own: frozenset[str]) -> tuple[str, ...]:
    """The outputs among ``own`` for which two sets of entries name other bytes."""
    now = {out.path: out.digest for entry in found.values() for out in entry.outs}
    then = [out for entry in recorded.values() for out in entry.outs if out.path in own]
    return tuple(out.path for out in then if now.get(out.path) != out.digest)


def put_back(
    dvc: Dvc, recorded: Mapping[str, Entry], found: Mapping[str, Entry], outputs: Mapping[str, Fingerprint]
) -> tuple[str, ...]:
    """Make ``recorded`` the lock's entries and bring back their outputs; the paths of those that are to be had nowhere.

    ``found`` are the lock's entries now. The lock follows the record also where bytes are lost: `dvc push` must not
    send others in their place.
    """
    lost: list[str] = []
    for stage, entry in recorded.items():
        if found[stage].digest() == entry.digest():
            continue
        find_again(dvc, stage, entry, outputs)
        dvc.note(stage, entry)
        if dvc.restore(stage):
            verify(dvc.root, {out.path: outputs[out.path] for out in entry.outs if out.path in outputs})
        else:
            gone = [out.path for out in entry.outs if dvc.object_path(out) is None]
            lost += gone or [out.path for out in entry.outs]  # a folder's listing is there, its files are not
    return tuple(lost)
