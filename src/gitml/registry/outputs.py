"""The files in which a model's stages describe it: metrics and bootstrap replicates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from gitml.errors import Problem, SpecError
from gitml.jsontext import once_each
from gitml.registry.record import Metric, Record
from gitml.spec.holdout import HoldOut
from gitml.stats.comparison import Difference, Estimate, Reading
from gitml.stats.refits import Refits, refits_of


@dataclass(frozen=True)
class Replicates:
    """``values[metric][b]``: the metric on resample b of the rows that ``rows_digest`` names, drawn with ``seed``."""

    rows_digest: str
    seed: int
    values: Mapping[str, tuple[float, ...]]

    def pairs_with(self, other: Replicates) -> bool:
        """Whether replicate b of both drew the same rows."""
        return (self.rows_digest, self.seed) == (other.rows_digest, other.seed)


def parse_metrics(raw: bytes, path: str) -> dict[str, Metric]:
    """``{"auc": 0.7}`` or ``{"auc": {"value": 0.7, "low": 0.69, "high": 0.71}}``; groups become ``group.name``.

    ``"refits": [0.70, 0.69, …]`` beside ``value``: the same metric of five or more fits with other seeds, as many for
    each metric that has some. Raises SpecError that names every metric which is no finite number, or whose refits are
    none: a model without its evidence is no version.
    """
    problems: list[Problem] = []
    found: dict[str, Metric] = {}
    for name, value in _leaves(_object(raw, path), ""):
        parts = value if isinstance(value, dict) else {"value": value}
        bounds = {k: parts.get(k) for k in ("value", "low", "high") if parts.get(k) is not None}
        if not name:
            problems.append(Problem(path, 0, "", "has a metric without a name", "give it one"))
            continue
        if name in found:
            problems.append(Problem(path, 0, name, "stands twice", "give each metric a name of its own"))
            continue
        wrong = [k for k, v in bounds.items() if isinstance(v, bool) or not _finite(v)]
        if wrong or "value" not in bounds:
            told = f"{wrong[0]} is {parts.get(wrong[0])!r}" if wrong else "has no value"
            problems.append(Problem(path, 0, name, f"{told}, a finite number is needed"))
            continue
        try:
            refits = _refits(parts.get("refits"))
        except ValueError as exc:
            problems.append(Problem(path, 0, name, str(exc), _REFITS))
            continue
        found[name] = Metric(**{k: float(v) for k, v in bounds.items() if v is not None}, refits=refits)
    problems += _uneven(found, path)
    if problems:
        raise SpecError(problems)
    return found


_REFITS = "`refits` holds the metric of five or more fits with other seeds, on the same rows; without any leave it out"


def _refits(values: Any) -> Refits | None:
    if values is None:
        return None
    if not isinstance(values, list):
        raise ValueError("refits is no list of numbers")
    wrong = next((place for place, v in enumerate(values) if isinstance(v, bool) or not _finite(v)), None)
    if wrong is not None:
        raise ValueError(f"refits[{wrong}] is no finite number")
    return refits_of([float(v) for v in values])


def _uneven(found: Mapping[str, Metric], path: str) -> Iterator[Problem]:
    """A fit that lacks in one metric is one that failed, or was left out because of what it gave."""
    counts = {name: metric.refits.count for name, metric in found.items() if metric.refits}
    most = max(counts.values(), default=0)
    for name, count in counts.items():
        if count != most:
            told = f"has {count} refits, another metric has {most}"
            yield Problem(path, 0, name, told, "write each fit's value in every metric that has refits")


def replicates_of(record: Record, places: Callable[[str], Iterable[bytes | None]]) -> Replicates | None:
    """The version's bootstrap replicates, or None where they are not to be had, or are not what was recorded.

    ``places`` yields what may be the file of that path, the nearest place first.
    """
    path = record.roles.get("replicates")
    if path is None or path not in record.files:
        return None
    wanted = record.files[path].sha256
    raw = next((raw for raw in places(path) if raw is not None and sha256(raw).hexdigest() == wanted), None)
    try:
        return parse_replicates(raw, path) if raw is not None else None
    except SpecError:
        return None


def on_other_rows(holdout: HoldOut | None, new: Record, old: Record, *, paired: bool) -> bool:
    """Whether both were judged on hold-outs that differ: a difference of their metrics is then no difference of theirs.

    ``paired``: their replicates name the same rows. Known only where gitml.yaml declares ``holdout``.
    """
    if holdout is None or paired:
        return False
    ours, theirs = (record.files.get(holdout.rows) for record in (new, old))
    return ours is None or theirs is None or ours.sha256 != theirs.sha256


def unjudged(found: Iterable[Difference]) -> list[Difference]:
    """The same numbers, of which none is called better or worse."""
    return [replace(difference, reading=Reading.UNKNOWN) for difference in found]


def estimates(record: Record, replicates: Replicates | None) -> dict[str, Estimate]:
    """A version's metrics, as they are compared with those of another."""
    values = replicates.values if replicates else {}
    return {n: Estimate(m.value, m.low, m.high, values.get(n, ()), m.refits) for n, m in record.metrics.items()}


def _leaves(group: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in group.items():
        if isinstance(value, dict) and "value" not in value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number larger than any float
        return False


def _object(raw: bytes, path: str) -> dict[str, Any]:
    try:
        data = json.loads(raw, object_pairs_hook=once_each)
    except (ValueError, RecursionError) as exc:
        raise SpecError([Problem(path, 0, "", f"is not JSON: {exc}", "the stage that writes it must mend it")]) from exc
    if not isinstance(data, dict):
        raise SpecError([Problem(path, 0, "", "is no JSON object")])
    return data


def parse_replicates(raw: bytes, path: str) -> Replicates:
    """Raises SpecError. Metrics whose replicates are not all finite are left out: they compare unpaired."""
    data = _object(raw, path)
    try:
        values = {name: tuple(float(v) for v in row) for name, row in data["replicates"].items()}
        return Replicates(
            str(data["rows_digest"]),
            int(data["seed"]),
            {n: row for n, row in values.items() if all(math.isfinite(v) for v in row)},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        hint = 'expected {"rows_digest": …, "seed": …, "replicates": {metric: [number, …]}}'
        raise SpecError([Problem(path, 0, "", f"is no file of replicates: {exc}", hint)]) from exc


def parse_signature(raw: bytes, path: str) -> dict[str, Any]:
    """Raises SpecError when it is no JSON object with lists of named inputs and outputs."""
    data = _object(raw, path)
    for side in ("inputs", "outputs"):
        columns = data.get(side)
        if not isinstance(columns, list) or not all(
            isinstance(c, dict) and "name" in c and "type" in c for c in columns
        ):
            raise SpecError([Problem(path, 0, side, "is no list of columns with a name and a type")])
    return data
