"""Expanding `strategy.matrix` into one combination per job, in GitHub's order.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from gitml_sandbox.actions.coercions import to_string
from gitml_sandbox.actions.workflows import WorkflowError

MAX_JOBS = 256


def expand(matrix: Any) -> list[dict[str, Any]]:
    """The combinations of an evaluated matrix; `exclude` first, then `include`. No matrix is one empty
    combination.
    """
    if matrix is None:
        return [{}]
    if not isinstance(matrix, dict):
        raise WorkflowError("strategy.matrix is not a mapping", "did fromJSON() yield an object?")
    axes = {k: v for k, v in matrix.items() if k not in {"include", "exclude"}}
    for name, values in axes.items():
        if not isinstance(values, list) or not values:
            raise WorkflowError(f"strategy.matrix.{name} is not a list with at least one value")
    base = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    excluded = _entries(matrix, "exclude")
    kept = [combination for combination in base if not any(_matches(combination, e) for e in excluded)]
    combinations = _include(kept, _entries(matrix, "include"), axes)
    if not combinations:
        raise WorkflowError("strategy.matrix yields no job at all")
    if len(combinations) > MAX_JOBS:
        raise WorkflowError(f"strategy.matrix yields {len(combinations)} jobs; {MAX_JOBS} is the limit")
    return combinations


def _entries(matrix: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = matrix.get(kind) or []
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise WorkflowError(f"strategy.matrix.{kind} is not a list of mappings")
    return entries


def _matches(combination: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return all(key in combination and combination[key] == value for key, value in entry.items())


def _include(
    kept: list[dict[str, Any]], entries: list[dict[str, Any]], axes: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """An entry extends each combination whose original values it does not change, else it stands alone."""
    originals = [dict(c) for c in kept]
    added: list[dict[str, Any]] = []
    for entry in entries:
        shared = {k: v for k, v in entry.items() if k in axes}
        hits = [i for i, original in enumerate(originals) if _matches(original, shared)]
        for i in hits:
            kept[i].update(entry)
        if not hits:
            added.append(dict(entry))
    return kept + added


def suffix(combination: Mapping[str, Any]) -> str:
    """What GitHub appends to the name of a job without a `name:` of its own: ` (1, ubuntu)`."""
    words = [json.dumps(v) if isinstance(v, dict | list) else to_string(v) for v in combination.values()]
    return f" ({', '.join(words)})" if words else ""
