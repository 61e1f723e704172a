"""Groups of rows, as a model's slices file has them, read with suspicion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitml.gates.facts import Unknown
from gitml.gates.verdicts import number


@dataclass(frozen=True)
class Groups:
    """Value of the column → the metric there, which is anything that the file held; ``small`` were not judged."""

    judged: Mapping[str, Any]
    small: tuple[str, ...]


def groups(slices: Sequence[Mapping[str, Any]] | Unknown, column: str, metric: str, min_rows: int) -> Groups | Unknown:
    """The groups of ``column`` with at least ``min_rows`` rows. Unknown when the file does not hold together."""
    if isinstance(slices, Unknown):
        return slices
    mine = [s for s in slices if isinstance(s, Mapping) and s.get("column") == column]
    if not mine:
        return Unknown(f"the slices have no column {column}")
    judged: dict[str, Any] = {}
    small: list[str] = []
    for entry in mine:
        name, rows = str(entry.get("value")), _rows(entry.get("rows"))
        if rows is None:
            return Unknown(f"{column} = {name} does not say how many rows it has")
        if name in judged or name in small:
            return Unknown(f"{column} = {name} stands there twice")
        if rows < min_rows:
            small.append(name)
        else:
            judged[name] = _metric(entry.get("metrics"), metric)
    if not judged:
        return Unknown(f"no group of {column} has {min_rows:,} rows or more")
    return Groups(judged, tuple(small))


def _rows(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _metric(metrics: Any, name: str) -> Any:
    """``{"auc": 0.7}`` or ``{"auc": {"value": 0.7}}``; None where it is missing."""
    found = metrics.get(name) if isinstance(metrics, Mapping) else None
    return found.get("value") if isinstance(found, Mapping) else found


def numbers(found: Groups) -> dict[str, float] | Unknown:
    """Every judged group's number; Unknown names the groups that have none."""
    values = {name: number(value) for name, value in found.judged.items()}
    without = [name for name, value in values.items() if value is None]
    if without:
        return Unknown(f"no finite number for {', '.join(without[:5])}")
    return {name: value for name, value in values.items() if value is not None}
