"""A detector of ``gitml.yaml`` that alibi-detect saved: read here as data, or run in the real one as main has it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gitml.errors import InconclusiveError, OutsideError
from gitml.files import write_file
from gitml.git.commands import Git
from gitml.git.tree import CommitTree
from gitml.models.fields import Field
from gitml.monitoring.alibi.apart import AlibiAnswer, ask
from gitml.monitoring.alibi.detectors import AlibiColumns, OwnAlibi, RealAlibi
from gitml.monitoring.alibi.folder import BSL, LARGEST_ARRAY, look_into, refuse_newer
from gitml.monitoring.alibi.own import read, why_not
from gitml.pipelines.detectorvenv import alibi_environment
from gitml.spec.detectors import MonitorDetector

_MOST = 2 * LARGEST_ARRAY


def alibi_detector(root: Path, entry: MonitorDetector, inputs: Sequence[Field]) -> OwnAlibi | RealAlibi:
    """Of ``inputs`` the detector takes all, in their order, or its ``columns``.

    Raises UsageError for a folder that is none or is wrong, InconclusiveError for one that cannot run here.
    """
    folder = look_into(root / str(entry.alibi))
    names = entry.columns or [field.name for field in inputs]
    columns = AlibiColumns(names, {field.name: field.categories or () for field in inputs})
    why = why_not(folder)
    if not why:
        return OwnAlibi(entry.shown, read(folder), columns)
    refuse_newer(folder, accept_bsl=entry.accept_bsl)
    return RealAlibi(entry.shown, columns, _FromMain(root, entry, why), BSL if entry.accept_bsl else "")


@dataclass(frozen=True)
class _FromMain:
    """Asks the real alibi-detect. What it loads may be code: it is taken from the default branch alone, whatever lies
    in the work tree."""

    root: Path
    entry: MonitorDetector
    why: str

    def __call__(self, rows: NDArray[Any]) -> AlibiAnswer:
        with tempfile.TemporaryDirectory(prefix="gitml-detector-") as name:
            place = Path(name) / Path(str(self.entry.alibi)).name
            self._bring(place)
            folder = look_into(place)
            refuse_newer(folder, accept_bsl=self.entry.accept_bsl)
            environment = alibi_environment(folder.backend, bsl=self.entry.accept_bsl)
            return ask(environment.python, place, rows)

    def _bring(self, place: Path) -> None:
        tree, path, size = self._main(), str(self.entry.alibi), 0
        for entry in tree.walk(path):
            content = tree.read(entry.path)
            if content is None:
                raise InconclusiveError(f"{entry.path} is no regular file on the default branch", "commit the file")
            size += len(content)
            if size > _MOST:
                raise InconclusiveError(f"{path} has more than {_MOST >> 20} MiB", "save it with fewer reference rows")
            write_file(place / entry.path[len(path) + 1 :], content)
        if not size:
            raise InconclusiveError(
                f"{path} runs in alibi-detect ({self.why}), only as the default branch has it, and it is not there",
                "commit the folder to Git, not to DVC, and merge it",
            )

    def _main(self) -> CommitTree:
        try:
            git = Git(self.root)
            ref = git.main_ref()
        except OutsideError as exc:
            raise InconclusiveError(f"{self.entry.alibi} runs only as the default branch has it: {exc}") from exc
        commit = git.resolve(ref) if ref else None
        if commit is None:
            raise InconclusiveError("this clone has no main branch", "git fetch origin")
        tree = git.at(commit)
        return CommitTree(tree.repository, tree.commit, tree.prefix, largest=_MOST)
