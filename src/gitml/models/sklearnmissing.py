"""What a fitted scikit-learn model takes for a missing word: the value that training had in its place.

pandas reads an empty cell as NaN, Parquet's null comes as None, and scikit-learn holds the two apart: an imputer that
looks for NaN hands None on, to an encoder that has never seen it. So the fitted objects are asked. Two things tell: a
missing value among an encoder's categories was there when it was fitted; an imputer was told what to look for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gitml.models.sklearnways import ways


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
    found = ways(model, columns)
    return {
        name: _strongest([hint for way in found.get(name, []) for seen in way for hint in _told(*seen)])
        for name in columns
    }


def _strongest(hints: Sequence[_Hint]) -> Any:
    return max(hints, key=lambda hint: hint.weight).value if hints else np.nan


def _told(step: Any, place: int) -> Iterator[_Hint]:
    categories = getattr(step, "categories_", None)
    if categories is not None and place < len(categories):
        seen = missing_category(categories[place])
        if seen is not None:
            yield _Hint(2, categories[place][seen])
    elif hasattr(step, "missing_values"):
        yield _Hint(1, step.missing_values)
