"""Where the partitions of exported traffic come from: one file beside their folder, small enough for Git."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gitml.errors import Problem, SpecError
from gitml.files import write_file
from gitml.jsontext import pretty

# A shadow answers what somebody else answers too: its rows would be the same observations twice.
ExportedArm = Literal["champion", "canary", "asked"]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class ExportedVersion(BaseModel):
    """What one version answered of a partition. ``weights``: percents of the units that it was drawn for."""

    model_config = _STRICT
    rows: int
    weights: tuple[float, ...] = ()


class ExportedDay(BaseModel):
    """One partition. ``at``: only what was known then is in it. Without rows there is no file.

    ``unlabelled``: answered rows whose label had not come. ``unanswered``: requests without an answer. ``other_arms``:
    rows that arms which are not exported answered. ``missing`` hosts had not told all of the day; ``dropped`` rows were
    lost to full memory.
    """

    model_config = _STRICT
    at: datetime
    rows: int
    sha256: str = ""
    size: int = 0
    unlabelled: int = 0
    unanswered: int = 0
    other_arms: int = 0
    versions: Mapping[str, ExportedVersion] = {}
    private: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    dropped: int = 0


class ExportSettings(BaseModel):
    """What holds for all partitions of a folder. ``labels_within`` in seconds."""

    model_config = _STRICT
    model: str
    environment: str
    arms: tuple[ExportedArm, ...]
    label: str
    labels_within: int


class ExportLineage(BaseModel):
    """The whole file: ``days`` by date."""

    model_config = _STRICT
    format: Literal["gitml traffic export 1"] = "gitml traffic export 1"
    settings: ExportSettings
    days: Mapping[str, ExportedDay] = {}

    def with_day(self, day: str, found: ExportedDay) -> ExportLineage:
        days = {**self.days, day: found}
        return self.model_copy(update={"days": {name: days[name] for name in sorted(days)}})


def lineage_path(folder: Path) -> Path:
    """Beside the folder and not in it: DVC has the folder, Git this file.

    >>> lineage_path(Path("data/traffic/delay")).as_posix()
    'data/traffic/delay.lineage.json'
    """
    return folder.parent / f"{folder.name}.lineage.json"


def read_lineage(path: Path) -> ExportLineage | None:
    """None where there is none yet. Raises SpecError."""
    if not path.is_file():
        return None
    try:
        return ExportLineage.model_validate(json.loads(path.read_bytes()))
    except (ValueError, ValidationError) as exc:
        hint = "take the file from Git again: gitml wrote it, and people do not edit it"
        raise SpecError([Problem(path.name, 0, "", "is not the lineage of exported traffic", hint)]) from exc


def write_lineage(path: Path, lineage: ExportLineage) -> None:
    write_file(path, pretty(lineage).encode())
