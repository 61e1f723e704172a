"""The charts of a report: specs that the stages wrote, drawn as pictures beside the report."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from gitml.errors import GitmlError
from gitml.repo.files import write_file
from gitml.reports import facts
from gitml.spec.application import Model

# `gitml ci publish` looks for pictures there; the name begins like the report's, so that one pattern uploads both.
FOLDER = "report-pictures"
_SUFFIX = ".vl.json"
_MOST, _LARGEST = 20, 4_000_000


@dataclass
class Pictures:
    """Draws into ``folder``; ``notes`` say what could not be drawn."""

    folder: Path
    commit: str
    notes: list[str] = field(default_factory=list)

    def of_model(self, root: Path, name: str, model: Model) -> tuple[facts.Chart, ...]:
        """The charts of one model, in the order of their names."""
        place = root / model.charts if model.charts else None
        if place is None or not place.is_dir():
            return ()
        files = sorted(p for p in place.glob(f"*{_SUFFIX}") if p.is_file() and not p.is_symlink())
        if len(files) > _MOST:
            self.notes.append(f"{name} has {len(files)} charts: the first {_MOST} are shown")
        return tuple(self._chart(name, path, path.relative_to(root).as_posix()) for path in files[:_MOST])

    def _chart(self, model: str, path: Path, spec: str) -> facts.Chart:
        name = path.name.removesuffix(_SUFFIX)
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"is larger than {_LARGEST:,} bytes")
            content = json.loads(path.read_bytes())
            picture = self._draw(content)
        except (GitmlError, ImportError, ValueError, RecursionError) as exc:
            self.notes.append(f"the chart {name} of {model} was not drawn: {str(exc).splitlines()[0][:200]}")
            return facts.Chart(name, spec=spec)
        image = f"{re.sub('[^A-Za-z0-9_-]', '-', model)}-{re.sub('[^A-Za-z0-9_-]', '-', name)}.png".lstrip(".")
        write_file(self.folder / FOLDER / image, picture)
        return facts.Chart(name, _title(content), image, spec)

    def _draw(self, spec: object) -> bytes:
        from gitml.reports.charts import png

        return png(spec)


def _title(spec: object) -> str:
    """What the spec calls itself: a text, or the text of an object."""
    title = spec.get("title") if isinstance(spec, dict) else None
    text = title.get("text") if isinstance(title, dict) else title
    return text if isinstance(text, str) else ""
