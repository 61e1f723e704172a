"""What the doctor says of detectors that alibi-detect saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gitml.errors import GitmlError
from gitml.pipelines.detectorvenv import PYTHON
from gitml.pipelines.venv import find_python
from gitml.project.detectors import entries_of, needs_alibi
from gitml.project.doctorpoint import Mark, Point
from gitml.spec.application import Application


def detector_points(root: Path, app: Application) -> Iterator[Point]:
    """One for each: who runs it, or what is missing."""
    for _, _, entry in entries_of(app):
        try:
            why = needs_alibi(root, entry)
            if why:
                find_python(PYTHON)
        except GitmlError as exc:
            yield Point(f"detector {entry.alibi}", Mark.MISSING, exc.message, exc.hint)
        else:
            where = f"in alibi-detect, as the default branch has it: {why}" if why else "here, as data"
            yield Point(f"detector {entry.alibi}", Mark.OK, f"runs {where}")
