"""The words that a fitted scikit-learn model knows of a column: those that its encoders saw when they were fitted.

A signature may leave them out, and most encoders answer an unknown word as if nothing were wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitml.models.sklearnways import Way, ways

# What hands words on as they are.
_KEEP = ("SimpleImputer",)


def known_words(model: Any, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """By column, of those ``columns`` of which an encoder knows the words, and nothing else sees them."""
    first = model.steps[0][1] if hasattr(model, "steps") else model
    if type(first).__name__ == "DictVectorizer":
        return _of_vocabulary(first, columns)
    found = {name: [_words(way) for way in seen] for name, seen in ways(model, columns).items() if name in columns}
    return {
        name: frozenset().union(*(one for one in words if one is not None))
        for name, words in found.items()
        if words and None not in words
    }


def _words(way: Way) -> frozenset[str] | None:
    """None where the way does not end at an encoder that gets the words as they are."""
    if not way or not all(_hands_on(step) for step, _ in way[:-1]):
        return None
    last, place = way[-1]
    categories = getattr(last, "categories_", None)
    if categories is None or place >= len(categories):
        return None
    return frozenset(str(c) for c in categories[place] if isinstance(c, str))


def _hands_on(step: Any) -> bool:
    if step is None or isinstance(step, str):
        return True
    name = type(step).__name__
    return name in _KEEP or (name == "FunctionTransformer" and step.func is None)


def _of_vocabulary(vectorizer: Any, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    heads = {name: f"{name}{vectorizer.separator}" for name in columns}
    known = list(vectorizer.vocabulary_)
    return {name: frozenset(k.removeprefix(head) for k in known if k.startswith(head)) for name, head in heads.items()}
