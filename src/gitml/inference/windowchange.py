"""What the training window of one version has that another's had not, counted in the table that both are cut from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gitml.engines.base import naming
from gitml.engines.tables import format_of, open_table
from gitml.errors import GitmlError
from gitml.inference.heldrows import why_unread
from gitml.inference.scorefiles import inputs_at
from gitml.registry import Record
from gitml.reports.holdoutfacts import WindowChange, WindowPart
from gitml.sketches.moments import moments_of
from gitml.spec.holdout import HoldOut

_ROWS = 65_536


@dataclass
class _Days:
    """Rows and rows with the label 1, by day."""

    rows: Counter[str] = field(default_factory=Counter)
    ones: Counter[str] = field(default_factory=Counter)
    labelled: bool = True

    def part(self, wanted: set[str]) -> WindowPart:
        days = sorted(wanted & set(self.rows))
        if not days:
            return WindowPart()
        rows = sum(self.rows[day] for day in days)
        positives = sum(self.ones[day] for day in days) / rows if self.labelled else None
        return WindowPart(rows, len(days), days[0], days[-1], positives)

    def between(self, bounds: tuple[date, date]) -> set[str]:
        return {day for day in self.rows if bounds[0].isoformat() <= day <= bounds[1].isoformat()}


def window_change(root: Path, spec: HoldOut, old: Record, new: Record) -> WindowChange | None:
    """None where gitml.yaml says no window. What cannot be told is said in ``why``."""
    if spec.window is None:
        return None
    if spec.time is None:
        return WindowChange(why="`holdout.time` does not say which column is the time of a row")
    if not (root / spec.window.rows).exists():
        return WindowChange(why=f"{spec.window.rows} is not here, and nothing is fetched for that")
    try:
        windows = [_bounds(record, spec.window.first_day, spec.window.last_day) for record in (old, new)]
        days = _read(str(root / spec.window.rows), spec.time, spec.label)
    except (GitmlError, ValueError, OSError, pa.ArrowException) as exc:
        return WindowChange(why=why_unread(exc))
    before, after = (days.between(bounds) for bounds in windows)
    return WindowChange(days.part(before), days.part(after), days.part(after - before), days.part(before - after))


def _bounds(record: Record, first: str, last: str) -> tuple[date, date]:
    """Raises ValueError."""
    return _day(record, first), _day(record, last)


def _day(record: Record, name: str) -> date:
    for entry in record.entries().values():
        for params in entry.params.values():
            found = _param(params, name)
            if found is not None:
                return date.fromisoformat(str(found)[:10])
    raise ValueError(f"no stage of {record.version} has the param {name}")


def _param(params: Mapping[str, Any], name: str) -> Any:
    """A lock entry has a group whole or its params one by one, as the stage names them."""
    if name in params:
        return params[name]
    group, _, rest = name.partition(".")
    inner = params.get(group)
    return _param(inner, rest) if rest and isinstance(inner, Mapping) else None


def _read(path: str, time: str, label: str) -> _Days:
    """Raises UsageError, OutsideError, ArrowException."""
    found, inputs = _Days(), inputs_at(path)
    for entry in inputs.files:
        with (
            naming(entry.name),
            open_table(inputs.base / entry.name, str(format_of(entry.name)), _ROWS, {}) as batches,
        ):
            for batch in batches:
                _count(found, batch, time, label)
    return found


def _count(found: _Days, batch: Any, time: str, label: str) -> None:
    if time not in batch.schema.names:
        raise ValueError(f"the rows of the window have no column {time}")
    days = pc.strftime(moments_of(batch[time]), format="%Y-%m-%d")
    found.rows.update(dict(_counted(days)))
    if label not in batch.schema.names or not _is_number(batch[label].type):
        found.labelled = False
        return
    found.ones.update(dict(_counted(days.filter(pc.fill_null(pc.equal(batch[label], 1), fill_value=False)))))


def _counted(days: Any) -> list[tuple[str, int]]:
    return [(row["values"], row["counts"]) for row in pc.value_counts(days).to_pylist() if row["values"] is not None]


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
