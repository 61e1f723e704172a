"""What a fitted scikit-learn model takes for a missing word: the value that training had in its place.

pandas reads an empty cell as NaN, Parquet's null comes as None, and scikit-learn holds the two apart: an imputer that
looks for NaN hands None on, to an encoder that has never seen it. So the fitted objects are asked. Two things tell: a
missing value among an encoder's categories was there when it was fitted; an imputer was told what to look for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class _Hint(NamedTuple):
    """``weight`` 2: seen in training; 1: looked for by an imputer."""

    weight: int
    value: Any


def is_missing(value: Any) -> bool:
    """Whether one of an encoder's categories stands for no word: None, NaN, pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def missing_category(categories: Sequence[Any]) -> Any:
    """The place of what is missing among an encoder's categories, or None. Of NaN and None, NaN goes first."""
    places = [place for place, category in enumerate(categories) if is_missing(category)]
    return max(places, key=lambda place: (categories[place] is not None, place), default=None)


def missing_words(model: Any, columns: Sequence[str]) -> dict[str, Any]:
    """For each column that the model was fitted on, what a missing word is; NaN, as pandas has it, if nothing tells."""
    names = getattr(model, "feature_names_in_", None)
    found = _hints(model, list(columns) if names is None else [str(n) for n in names])
    return {name: _strongest(found.get(name, [])) for name in columns}


def _strongest(hints: Sequence[_Hint]) -> Any:
    return max(hints, key=lambda hint: hint.weight).value if hints else np.nan


def _hints(step: Any, columns: Sequence[str]) -> dict[str, list[_Hint]]:
    if hasattr(step, "transformers_"):
        return _merged(_hints(inner, _chosen(chosen, columns)) for _, inner, chosen in step.transformers_)
    if hasattr(step, "transformer_list"):
        return _merged(_hints(inner, columns) for _, inner in step.transformer_list)
    if hasattr(step, "steps"):
        return _of_chain([inner for _, inner in step.steps], columns)
    return _of_chain([step], columns)


def _of_chain(steps: Sequence[Any], columns: Sequence[str]) -> dict[str, list[_Hint]]:
    """Steps that hand columns on in their order, as long as there are as many of them."""
    found: dict[str, list[_Hint]] = {name: [] for name in columns}
    for step in steps:
        if any(hasattr(step, key) for key in ("transformers_", "transformer_list", "steps")):
            return _merged([found, _hints(step, columns)])
        if getattr(step, "n_features_in_", len(columns)) != len(columns):
            break
        for place, name in enumerate(columns):
            found[name] += _told(step, place)
        if hasattr(step, "categories_"):
            break  # numbers from here on
    return found


def _told(step: Any, place: int) -> Iterator[_Hint]:
    categories = getattr(step, "categories_", None)
    if categories is not None and place < len(categories):
        seen = missing_category(categories[place])
        if seen is not None:
            yield _Hint(2, categories[place][seen])
    elif hasattr(step, "missing_values"):
        yield _Hint(1, step.missing_values)


def _chosen(chosen: Any, columns: Sequence[str]) -> list[str]:
    """The columns that a part of a ColumnTransformer was fitted on, however they were named."""
    if isinstance(chosen, slice):
        return list(columns[chosen]) if not isinstance(chosen.start or chosen.stop, str) else []
    wanted = [chosen] if isinstance(chosen, str | int) else list(chosen) if not callable(chosen) else []
    if wanted and all(isinstance(c, bool | np.bool_) for c in wanted):
        return [name for name, taken in zip(columns, wanted, strict=False) if taken]
    return [columns[int(c)] if isinstance(c, int | np.integer) else str(c) for c in wanted]


def _merged(parts: Iterator[Mapping[str, list[_Hint]]] | Sequence[Mapping[str, list[_Hint]]]) -> dict[str, list[_Hint]]:
    merged: dict[str, list[_Hint]] = {}
    for part in parts:
        for name, hints in part.items():
            merged.setdefault(name, []).extend(hints)
    return merged
