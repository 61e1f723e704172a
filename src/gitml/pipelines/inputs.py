"""What a stage reads must stay as it is while the stage runs.

DVC takes the digests of dependencies after the command ended: code that was edited meanwhile would be named as the code
that made the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitml.dvc.lockentries import Content, Entry, same_value
from gitml.dvc.repository import Dvc
from gitml.errors import FailedError

Stamps = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Watched:
    """A stage's inputs as they were before it ran; ``stamps``: path, size and time of writing of each of its files."""

    stage: str
    inputs: Entry
    stamps: Stamps

    @classmethod
    def now(cls, dvc: Dvc, stage: str) -> Watched | None:
        """None for data that is only brought in: nothing runs."""
        if not dvc.has_command(stage):
            return None
        with dvc.locked():
            inputs = dvc.inputs(stage)
        return cls(stage, inputs, _stamps(dvc.root, inputs.deps))

    def refuse_changes(self, root: Path, entry: Entry) -> None:
        """Raise FailedError if ``entry``, written after the run, names other inputs."""
        if entry.inputs_digest() == self.inputs.inputs_digest():
            return
        before = {c.path: c.digest for c in self.inputs.deps}
        changed = [c.path for c in entry.deps if before.get(c.path) != c.digest]
        changed += [file for file in entry.params if not same_value(entry.params[file], self.inputs.params.get(file))]
        changed += ["dvc.yaml"] if entry.cmd != self.inputs.cmd else []
        if changed and set(changed) <= set(before) and _stamps(root, entry.deps) == self.stamps:
            return  # Python wrote its bytecode into a folder that is a dependency
        raise FailedError(
            f"{', '.join(changed) or 'the list of dependencies'} changed while stage {self.stage} ran: "
            "nobody knows which of the two the result is from, so it is not recorded",
            "leave the files alone while it runs (a worktree of its own helps), and run `gitml train` again",
        )


def _stamps(root: Path, deps: tuple[Content, ...]) -> Stamps:
    return frozenset(stamp for dep in deps if "://" not in dep.path for stamp in _below(root / dep.path))


def _below(path: Path) -> Iterator[tuple[str, int, int]]:
    if not path.is_dir():
        yield _stamp(path)
        return
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (_stamp(Path(folder, name)) for name in files)


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), found.st_size, found.st_mtime_ns
