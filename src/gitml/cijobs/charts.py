"""The charts of a report: specs that the stages wrote, drawn as pictures beside the report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gitml.errors import GitmlError
from gitml.files import write_file
from gitml.jsontext import pretty
from gitml.reports import facts, holdoutchart
from gitml.reports.charttitle import title_of
from gitml.reports.shifts import chart
from gitml.spec.application import Model

# `gitml ci publish` looks for pictures there; the name begins like the report's, so that one pattern uploads both.
FOLDER = "report-pictures"
_SUFFIX = ".vl.json"
_OWN = {"same rows": "holdout", "feature shift": "shift"}
_MOST, _LARGEST = 20, 4_000_000


@dataclass
class Pictures:
    """Draws into ``folder``; ``notes`` say what could not be drawn."""

    folder: Path
    commit: str
    notes: list[str] = field(default_factory=list)

    def drawn(self, root: Path, told: facts.ReportedModel, model: Model, onto: str) -> facts.ReportedModel:
        """What is told of a model with its charts: how its data shifted, then its own in the order of their names.

        ``onto`` is the branch that the report compares with.
        """
        files = _files(root / model.charts) if model.charts else []
        if len(files) > _MOST:
            self.notes.append(f"{told.name} has {len(files)} charts: the first {_MOST} are shown")
        read = [self._read(told.name, path) for path in files[:_MOST]]
        made = {name: spec for name, spec in self._made(told, onto) if spec is not None}
        pictures = iter(self._draw([spec for spec in (*made.values(), *read) if spec is not None]))
        first = [self._own(told.name, name, spec, next(pictures)) for name, spec in made.items()]
        own = tuple(
            self._chart(told.name, path.relative_to(root).as_posix(), spec, None if spec is None else next(pictures))
            for path, spec in zip(files, read, strict=False)
        )
        return replace(told, charts=(*first, *own))

    def _made(self, told: facts.ReportedModel, onto: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """The charts that the report itself makes."""
        if told.holdout is not None:
            yield "same rows", holdoutchart.chart(told.holdout, told.holdout.name)
        yield "feature shift", chart(told.data, onto)

    def _own(self, model: str, name: str, spec: dict[str, Any], picture: bytes | GitmlError) -> facts.Chart:
        """The spec stands beside the picture, since no stage wrote it."""
        # A point parts what no name of a model or chart can hold: no stage's picture has this name.
        base = f"{_OWN[name]}.{re.sub('[^A-Za-z0-9_-]', '-', model)}"
        written = f"{FOLDER}/{base}{_SUFFIX}"
        write_file(self.folder / written, pretty(spec).encode())
        if not isinstance(picture, bytes):
            self._note(name, model, picture)
            return facts.Chart(name, spec=written)
        write_file(self.folder / FOLDER / f"{base}.png", picture)
        return facts.Chart(name, title_of(spec), f"{base}.png", written)

    def _read(self, model: str, path: Path) -> dict[str, Any] | None:
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"is larger than {_LARGEST:,} bytes")
            content = json.loads(path.read_bytes())
            if not isinstance(content, dict):
                raise ValueError("is no chart")
        except (OSError, ValueError, RecursionError) as exc:
            self._note(_name(path.name), model, exc)
            return None
        return content

    def _draw(self, specs: list[dict[str, Any]]) -> Sequence[bytes | GitmlError]:
        """All by one process: starting it takes longer than a picture."""
        from gitml.reports.charts import pngs

        if not specs:
            return []
        try:
            return pngs(specs)
        except GitmlError as exc:
            return [exc] * len(specs)

    def _chart(self, model: str, path: str, spec: object, picture: bytes | GitmlError | None) -> facts.Chart:
        name = _name(path)
        if not isinstance(picture, bytes):
            if picture is not None:
                self._note(name, model, picture)
            return facts.Chart(name, spec=path)
        image = f"{re.sub('[^A-Za-z0-9_-]', '-', model)}-{re.sub('[^A-Za-z0-9_-]', '-', name)}.png".lstrip(".")
        write_file(self.folder / FOLDER / image, picture)
        return facts.Chart(name, title_of(spec), image, path)

    def _note(self, chart: str, model: str, exc: Exception) -> None:
        self.notes.append(f"the chart {chart} of {model} was not drawn: {str(exc).splitlines()[0][:200]}")


def _files(place: Path) -> list[Path]:
    return sorted(p for p in place.glob(f"*{_SUFFIX}") if p.is_file() and not p.is_symlink())


def _name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(_SUFFIX)
