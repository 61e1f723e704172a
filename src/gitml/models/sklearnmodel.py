"""Fitted scikit-learn models called on arrays.

A pipeline that was fitted on a table chooses columns by name and wants a pandas table at each call, which costs more
than the model (milliseconds a row). What the common first steps do to encoded rows is known exactly, so it is done on
arrays; a pipeline with steps that are not known gets its table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gitml.errors import UsageError
from gitml.models.model import OpenedModel
from gitml.models.signature import Signature
from gitml.models.sklearninside import trees
from gitml.models.sklearninside.boosted import boosted
from gitml.models.sklearninside.columns import on_arrays
from gitml.models.sklearnmissing import missing_words

Score = Callable[[Any], Any]


def scorer(
    load: Callable[[], Any], signature: Signature, is_steady: Callable[[Any], bool] = lambda _: False
) -> OpenedModel:
    """Scoring function for the model that ``load`` makes, and how it is called: `arrays` or `frame`.

    ``is_steady`` says of the model whether its rows alone decide how long a call takes (``Predictor.steady``).
    """
    with warnings.catch_warnings():
        # Another patch version of scikit-learn is said in a warning; the samples' parity decides, not the warning.
        warnings.simplefilter("ignore")
        model = load()
        trees.check(model)
        if not callable(getattr(model, "predict", None)):
            raise UsageError(f"the artifact is a {type(model).__name__}, which has no predict")
        steady = is_steady(model)
        prepare = on_arrays(model, signature)
    if prepare is None:
        return OpenedModel(_on_frames(model, signature), "frame", steady)
    steps, last = prepare
    answer = _answer(last, signature)
    if not steps:
        return OpenedModel(answer, "arrays", steady)

    def score(rows: Any) -> Any:
        for step in steps:
            rows = step(rows)
        return answer(rows)

    return OpenedModel(score, "arrays", steady)


def _answer(model: Any, signature: Signature) -> Score:
    """Probabilities where the outputs are floats and the model has them, otherwise predictions."""
    floats = all(output.type.startswith("float") for output in signature.outputs)
    if not floats or not hasattr(model, "predict_proba"):
        regressor = floats and not hasattr(model, "classes_")
        return boosted(model, model.predict, probabilities=False) if regressor else model.predict
    classes, wanted = len(model.classes_), len(signature.outputs)
    proba = boosted(model, model.predict_proba, probabilities=True)
    order = _by_class([output.name for output in signature.outputs], [_word(c) for c in model.classes_])
    if wanted == 1 and classes == 2:
        place = 1 if order is None else order[0]
        return lambda rows: proba(rows)[:, place]
    if wanted != classes:
        raise UsageError(
            f"the model has {classes} classes, the signature {wanted} outputs",
            "name one output per class, or one for the chance of the second of two classes",
        )
    return proba if order is None or order == list(range(classes)) else lambda rows: proba(rows)[:, order]


def _word(label: Any) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _by_class(outputs: Sequence[str], classes: Sequence[str]) -> list[int] | None:
    """For each output the class that it is named by, as ``yes`` or ``p_yes``; None where they are named otherwise.

    Raises UsageError where some are named by classes and some are not: then nobody knows which is which.

    >>> _by_class(["p_b", "p_a"], ["a", "b"]), _by_class(["late"], ["0", "1"]), _by_class(["p_0"], ["0", "1"])
    ([1, 0], None, [0])
    """
    found = [_class_of(name, classes) for name in outputs]
    named = [place for place in found if place is not None]
    if not named:
        return None
    if len(set(named)) != len(outputs):
        raise UsageError(
            f"some outputs of the signature are named by classes, but not each by its own: {', '.join(outputs)}",
            f"name them by the model's classes: {', '.join(classes)}",
        )
    return named


def _class_of(name: str, classes: Sequence[str]) -> int | None:
    if name in classes:
        return classes.index(name)
    ends = [(len(c), place) for place, c in enumerate(classes) if c and name.endswith(f"_{c}")]
    return max(ends)[1] if ends else None


def _on_frames(model: Any, signature: Signature) -> Score:
    try:
        import pandas
    except ImportError as exc:
        raise UsageError(
            "this pipeline chooses its columns by name in a way that needs pandas", "pip install pandas where it serves"
        ) from exc
    answer = _answer(model, signature)
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
