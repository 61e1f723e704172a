"""Detectors of alibi-detect that ``gitml.yaml`` names: whether their folders can run at all, before anything does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gitml.errors import GitmlError, Problem
from gitml.spec.application import Application
from gitml.spec.detectors import MonitorDetector
from gitml.spec.yamlfile import Document


def detector_problems(root: Path, app: Application, document: Document, made: Callable[[str], bool]) -> list[Problem]:
    """Folders that are missing, torn, or saved by an alibi-detect that may not be used. ``made``: whether a path is an
    output of a stage, which may be not here yet."""
    found = []
    for model, number, entry in entries_of(app):
        if made(str(entry.alibi)) and not (root / str(entry.alibi)).exists():
            continue
        try:
            needs_alibi(root, entry)
        except GitmlError as exc:
            key = ("monitors", "models", model, "detectors", number, "alibi")
            found.append(document.problem(key, exc.message, exc.hint))
    return found


def entries_of(app: Application) -> Iterator[tuple[str, int, MonitorDetector]]:
    """With the model, and the place in its list."""
    for model, spec in app.monitors.models.items():
        for number, entry in enumerate(spec.detectors):
            if entry.alibi:
                yield model, number, entry


def needs_alibi(root: Path, entry: MonitorDetector) -> str:
    """Why; '' for one that is read here. Raises GitmlError for what cannot run."""
    # Numbers are imported only where a detector is named: `gitml check` runs in hooks.
    from gitml.monitoring.alibi.folder import look_into, refuse_newer
    from gitml.monitoring.alibi.own import read, why_not

    folder = look_into(root / str(entry.alibi))
    why = why_not(folder)
    if why:
        refuse_newer(folder, accept_bsl=entry.accept_bsl)
    else:
        read(folder)
    return why
