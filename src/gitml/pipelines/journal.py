"""The runs that this clone executed: the local half of "a lock entry is believed only if a run wrote it".

One small file per run below ``.dvc/tmp/gitml/runs`` (never in Git), named by the digests of the stage's inputs and of
its whole entry. The other half are the version records in the tree.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitml.dvc.lockentries import Content, Entry
from gitml.dvc.manifest import Fingerprint
from gitml.files import write_file

# Artifacts that commands fetched to use them once, by their SHA-256; DVC does not know of them.
KEPT = Path(".dvc", "tmp", "gitml", "artifacts")


@dataclass(frozen=True)
class JournalEntry:
    """A stage that ran: its entry, the SHA-256 of its outputs by path, the seconds it took."""

    stage: str
    entry: Entry
    outputs: Mapping[str, Fingerprint]
    seconds: float


def note_of(root: Path, entry: Entry) -> Path:
    """Where a run that gave this entry is written down."""
    folder = root / ".dvc" / "tmp" / "gitml" / "runs" / entry.inputs_digest()[:32]
    return folder / f"{entry.digest()[:32]}.json"


def remember(root: Path, run: JournalEntry) -> None:
    """Write the run down, whole or not at all."""
    path = note_of(root, run.entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {
            "stage": run.stage,
            "entry": run.entry.to_dict(),
            "outputs": {p: [f.sha256, f.size] for p, f in run.outputs.items()},
            "seconds": round(run.seconds, 3),
        }
    )
    write_file(path, text.encode())


def recall(root: Path, entry: Entry) -> JournalEntry | None:
    """The run that gave exactly this entry, or None. A damaged note counts as none: the stage runs again."""
    run = _read(note_of(root, entry))
    return run if run and run.entry.digest() == entry.digest() else None


def recall_inputs(root: Path, inputs: Entry) -> Iterator[JournalEntry]:
    """The runs that had these inputs, newest first."""
    folder = note_of(root, inputs).parent
    files = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True) if folder.is_dir() else []
    for path in files:
        run = _read(path)
        if run and run.entry.inputs_digest() == inputs.inputs_digest():
            yield run


def known_outputs(root: Path) -> Iterator[tuple[str, Content]]:
    """Each stage that ran here with each content that it gave."""
    for path in _notes(root):
        run = _read(path)
        if run:
            yield from ((run.stage, out) for out in run.entry.outs)


def forget(root: Path, needed: Collection[str], *, before: float) -> int:
    """Drop notes last written before the time ``before`` whose outputs are not all among the MD5s in ``needed``.

    Nothing can be restored by such a note. Returns how many went.
    """
    gone = 0
    for path in _notes(root):
        run = _read(path)
        oids = [o.digest.removeprefix("md5:") for o in run.entry.outs if o.digest.startswith("md5:")] if run else []
        if path.stat().st_mtime < before and (run is None or not all(oid in needed for oid in oids)):
            path.unlink(missing_ok=True)
            gone += 1
            with suppress(OSError):  # its folder still holds other runs
                path.parent.rmdir()
    return gone


def _notes(root: Path) -> list[Path]:
    return sorted((root / ".dvc" / "tmp" / "gitml" / "runs").glob("*/*.json"))


def _read(path: Path) -> JournalEntry | None:
    try:
        data = json.loads(path.read_bytes())
        return JournalEntry(
            stage=data["stage"],
            entry=Entry.from_dict(data["entry"]),
            outputs={p: Fingerprint(sha, size) for p, (sha, size) in data["outputs"].items()},
            seconds=float(data["seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
