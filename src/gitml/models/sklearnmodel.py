"""Fitted scikit-learn models called on arrays.

A pipeline that was fitted on a table chooses columns by name and wants a pandas table at each call, which costs more
than the model (milliseconds a row). What the common first steps do to encoded rows is known exactly, so it is done on
arrays; a pipeline with steps that are not known gets its table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from gitml.errors import UsageError
from gitml.models.model import FittedInside, OpenedModel
from gitml.models.sharedarrays import Keep, as_they_are
from gitml.models.signature import Signature
from gitml.models.sklearnanswers import Score, answers_of, classes_of
from gitml.models.sklearninside import trees
from gitml.models.sklearninside.columns import on_arrays
from gitml.models.sklearninside.forests import share_trees
from gitml.models.sklearnmissing import missing_words
from gitml.models.sklearnwords import known_words


def scorer(
    load: Callable[[], Any],
    signature: Signature,
    is_steady: Callable[[Any], bool] = lambda _: False,
    keep: Keep = as_they_are,
) -> OpenedModel:
    """Scoring function for the model that ``load`` makes, and how it is called: `arrays`, `objects` or `frame`.

    ``is_steady`` says of the model whether its rows alone decide how long a call takes (``Predictor.steady``).
    ``keep`` says where arrays that are made of it lie.
    """
    with warnings.catch_warnings():
        # Another patch version of scikit-learn is said in a warning; the samples' parity decides, not the warning.
        warnings.simplefilter("ignore")
        model = load()
        trees.check(model)
        if not callable(getattr(model, "predict", None)):
            raise UsageError(f"the artifact is a {type(model).__name__}, which has no predict")
        steady = is_steady(model)
        model = _found_by_search(model)
        # Before anything else: what comes later takes names away.
        words = known_words(model, [f.name for f in signature.inputs if f.type == "string"])
        on_objects = _on_objects(model, signature)
        prepare = None if on_objects else on_arrays(model, signature)
    if on_objects:
        return OpenedModel(on_objects, "objects", steady, words=words)
    if prepare is None:
        return OpenedModel(_on_frames(model, signature), "frame", steady, words=words)
    steps, last, origins = prepare
    share_trees(last, keep)
    answer = answers_of(last, signature, keep)

    def prepared(rows: Any) -> Any:
        for step in steps:
            rows = step(rows)
        return rows

    inside = None if origins is None else FittedInside(last, prepared, origins, classes_of(last, signature))
    if not steps:
        return OpenedModel(answer, "arrays", steady, inside, words)
    return OpenedModel(lambda rows: answer(prepared(rows)), "arrays", steady, inside, words)


def _found_by_search(model: Any) -> Any:
    """What a search found, which is all that it hands rows to."""
    while type(model).__name__.endswith("SearchCV") and hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    return model


# First steps that take one text a row, or one dictionary, and no table: of a table they would see the columns' names.
_TEXTS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
_DICTS = ("DictVectorizer", "FeatureHasher")


def _on_objects(model: Any, signature: Signature) -> Score | None:
    """For pipelines that begin with texts or dictionaries; None for others."""
    first = type(model.steps[0][1] if hasattr(model, "steps") else model).__name__
    if first not in (*_TEXTS, *_DICTS):
        return None
    names, answer = [field.name for field in signature.inputs], answers_of(model, signature)
    if first in _DICTS:
        return lambda rows: answer(_dicts(signature.decode(rows)))
    if [field.type for field in signature.inputs] != ["string"]:
        raise UsageError(
            f"the pipeline begins with {first}, which takes one text a row; the signature names {', '.join(names)}",
            "name one input of type string; more columns go through a ColumnTransformer: (TfidfVectorizer(), 'text')",
        )
    return lambda rows: answer(signature.decode(rows)[names[0]])


def _dicts(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _on_frames(model: Any, signature: Signature) -> Score:
    try:
        import pandas
    except ImportError as exc:
        raise UsageError(
            "this pipeline chooses its columns by name in a way that needs pandas", "pip install pandas where it serves"
        ) from exc
    answer = answers_of(model, signature)
    words = [f.name for f in signature.inputs if f.type == "string"]
    missing = missing_words(model, words)

    def score(rows: Any) -> Any:
        columns = signature.decode(rows)
        for name in words:
            columns[name] = [missing[name] if v is None else v for v in columns[name]]
        frame = {f.name: _series(pandas, columns[f.name], f.type) for f in signature.inputs}
        return answer(pandas.DataFrame(frame))

    return score


def _series(pandas: Any, values: list[Any], kind: str) -> Any:
    if kind == "string":
        return pandas.Series(values, dtype="object")
    if any(v is None for v in values):
        return pandas.Series(np.array([np.nan if v is None else v for v in values], np.float64))
    return pandas.Series(np.array(values, kind))
