"""What a fitted scikit-learn model is asked for, told from the outputs of its signature.

Numbers are probabilities where the model has them, otherwise predictions; all else is a prediction. A label may stand
beside probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gitml.errors import UsageError
from gitml.models.fields import Field
from gitml.models.sharedarrays import Keep, as_they_are
from gitml.models.signature import Signature
from gitml.models.sklearninside.boosted import boosted

Score = Callable[[Any], Any]


def answers_of(model: Any, signature: Signature, keep: Keep = as_they_are) -> Score:
    """Raises UsageError where the outputs are not those of the model. ``keep``: says where arrays made of it lie."""
    outputs = signature.outputs
    numbers = [output for output in outputs if output.type.startswith("float")]
    if not numbers or not hasattr(model, "predict_proba"):
        regressor = len(numbers) == len(outputs) and not hasattr(model, "classes_")
        return boosted(model, model.predict, probabilities=False, keep=keep) if regressor else model.predict
    if not hasattr(model, "classes_"):  # mixtures: which part is the likeliest, or how likely each is
        mixture: Score = model.predict if len(outputs) == 1 else model.predict_proba
        return mixture
    if isinstance(model.classes_, list):
        return _of_many_targets(model, outputs)
    if len(numbers) == len(outputs):
        return _probabilities(model, outputs, keep)
    return _label_beside(model, outputs, numbers, keep)


def _probabilities(model: Any, outputs: Sequence[Field], keep: Keep) -> Score:
    proba = boosted(model, model.predict_proba, probabilities=True, keep=keep)
    order = _class_order(model, outputs)
    if len(order) == 1 < len(model.classes_):
        return lambda rows: proba(rows)[:, order[0]]
    return proba if order == list(range(len(order))) else lambda rows: proba(rows)[:, order]


def _class_order(model: Any, outputs: Sequence[Field]) -> list[int]:
    """For each output the class whose chance it is."""
    classes, wanted = len(model.classes_), len(outputs)
    order = _by_class([output.name for output in outputs], [_word(c) for c in model.classes_])
    if wanted == 1 and classes == 2:
        return [1] if order is None else order
    if wanted != classes:
        raise UsageError(
            f"the model has {classes} classes, the signature {wanted} outputs",
            "name one output per class, or one for the chance of the second of two classes",
        )
    return list(range(classes)) if order is None else order


def classes_of(model: Any, signature: Signature) -> tuple[int, ...] | None:
    """For each output that is a number the class whose chance it is, None where the model answers with no chances.

    For models that ``answers_of`` takes.
    """
    numbers = [output for output in signature.outputs if output.type.startswith("float")]
    classes = getattr(model, "classes_", None)
    if not numbers or not hasattr(model, "predict_proba") or classes is None or isinstance(classes, list):
        return None
    return tuple(_class_order(model, numbers))


def _label_beside(model: Any, outputs: Sequence[Field], numbers: Sequence[Field], keep: Keep) -> Score:
    if len(outputs) != len(numbers) + 1:
        raise UsageError(
            "the signature has several outputs that are not numbers, beside probabilities",
            "name one output for the label, and one for each probability",
        )
    chances = _probabilities(model, numbers, keep)
    at_label = next(place for place, output in enumerate(outputs) if output not in numbers)
    at_numbers = [place for place, output in enumerate(outputs) if output in numbers]

    def score(rows: Any) -> Any:
        found = np.empty((len(rows), len(outputs)), object)
        found[:, at_label] = np.asarray(model.predict(rows)).tolist()
        found[:, at_numbers] = np.asarray(chances(rows)).reshape(len(rows), -1)
        return found

    return score


def _of_many_targets(model: Any, outputs: Sequence[Field]) -> Score:
    """The chance of each target's second class, or of each class of each target, side by side."""
    counts = [len(classes) for classes in model.classes_]
    if any(not output.type.startswith("float") for output in outputs):
        raise UsageError(
            f"the model has {len(counts)} targets, so labels and probabilities are not told apart",
            "name labels alone, or probabilities alone",
        )
    second = len(outputs) == len(counts) and set(counts) == {2}
    if not second and len(outputs) != sum(counts):
        raise UsageError(
            f"the model has {len(counts)} targets of {', '.join(map(str, counts))} classes, "
            f"the signature {len(outputs)} outputs",
            "name one output per class of each target, or one per target of two classes",
        )

    def score(rows: Any) -> Any:
        found = model.predict_proba(rows)
        if isinstance(found, np.ndarray):  # chains give an array: the second class of each target
            return found
        return np.column_stack([part[:, 1] if second else part for part in found])

    return score


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
