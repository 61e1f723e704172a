"""The ways of a column through a fitted scikit-learn model: which steps see it, one after the other.

Columns are followed as long as steps hand them on in their order; what mixes them, or makes more of them, ends a way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class WayStep(NamedTuple):
    """A step that sees the column, as its input number ``place``."""

    step: Any
    place: int


# A union of unions that are one object has two to the power of its depth.
_MOST = 1000
Way = tuple[WayStep, ...]


def ways(model: Any, columns: Sequence[str]) -> dict[str, list[Way]]:
    """Of each column that the model was fitted on; ``columns`` are their names where the model does not know them.

    Raises ValueError for more ways than an honest model has.
    """
    names = getattr(model, "feature_names_in_", None)
    return _ways(model, list(columns) if names is None else [str(n) for n in names])


def _ways(step: Any, columns: Sequence[str]) -> dict[str, list[Way]]:
    if hasattr(step, "transformers_"):
        parts = [(inner, chosen) for _, inner, chosen in step.transformers_ if not _is_dropped(inner)]
        return _merged(_ways(inner, _chosen(chosen, columns)) for inner, chosen in parts)
    if hasattr(step, "transformer_list"):
        return _merged(_ways(inner, columns) for _, inner in step.transformer_list if not _is_dropped(inner))
    return _of_chain([inner for _, inner in step.steps] if hasattr(step, "steps") else [step], columns)


def _of_chain(steps: Sequence[Any], columns: Sequence[str]) -> dict[str, list[Way]]:
    """Steps that hand columns on in their order, as long as there are as many of them."""
    so_far: dict[str, Way] = dict.fromkeys(columns, ())
    for step in steps:
        inner = _inner(step)
        if inner is not None:
            return {
                name: [so_far.get(name, ()) + way for way in found] for name, found in _ways(inner, columns).items()
            }
        if getattr(step, "n_features_in_", len(columns)) != len(columns):
            break
        so_far = {name: (*so_far[name], WayStep(step, place)) for place, name in enumerate(columns)}
        if hasattr(step, "categories_"):
            break  # numbers from here on
    return {name: [way] for name, way in so_far.items()}


def _inner(step: Any) -> Any:
    """What chooses columns: the step itself, or what boosted trees encode a table's categories with."""
    if any(hasattr(step, key) for key in ("transformers_", "transformer_list", "steps")):
        return step
    return getattr(step, "_preprocessor", None)


def _is_dropped(inner: Any) -> bool:
    return isinstance(inner, str) and inner == "drop"


def _chosen(chosen: Any, columns: Sequence[str]) -> list[str]:
    """The columns that a part of a ColumnTransformer was fitted on, however they were named."""
    if isinstance(chosen, slice):
        return list(columns[chosen]) if not isinstance(chosen.start or chosen.stop, str) else []
    wanted = [chosen] if isinstance(chosen, str | int) else list(chosen) if not callable(chosen) else []
    if wanted and all(isinstance(c, bool | np.bool_) for c in wanted):
        return [name for name, taken in zip(columns, wanted, strict=False) if taken]
    return [columns[int(c)] if isinstance(c, int | np.integer) else str(c) for c in wanted]


def _merged(parts: Iterable[Mapping[str, list[Way]]]) -> dict[str, list[Way]]:
    merged: dict[str, list[Way]] = {}
    for part in parts:
        for name, found in part.items():
            mine = merged.setdefault(name, [])
            mine.extend(found)
            if len(mine) > _MOST:
                raise ValueError(f"column {name[:60]} goes more than {_MOST} ways through the model")
    return merged
