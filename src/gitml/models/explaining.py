"""What each input contributed to one answer of a loaded model: exactly where it is made of trees, otherwise sampled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gitml.attribution.leaves import Floats
from gitml.attribution.permutationshap import permutation_shap
from gitml.attribution.treeshap import TreeShap, tree_shap
from gitml.errors import UsageError
from gitml.models.model import FittedInside, Predictor
from gitml.models.signature import Rows
from gitml.models.sklearninside.treearrays import Scale, SummedTrees, summed_trees

# How far the trees' sum may lie from the model's own answer; more means that they were misread.
_AGREES = 1e-9


@dataclass(frozen=True)
class Attribution:
    """``base`` and ``values``, one for each input, add up to ``total``, which is the ``answer`` on the ``scale``:
    the answer itself, or its log-odds, its logarithm, or the class's score before the softmax.

    ``method``: `trees`, exact, or `sampled`, with the standard ``errors`` of the values and the ``calls`` it took.
    """

    method: Literal["trees", "sampled"]
    scale: Scale
    output: str
    answer: float
    base: float
    values: tuple[float, ...]
    errors: tuple[float, ...] | None = None
    calls: int = 0

    @property
    def total(self) -> float:
        return self.base + sum(self.values)


@dataclass(frozen=True)
class _Trees:
    shap: TreeShap
    summed: SummedTrees
    inside: FittedInside


@dataclass(frozen=True)
class Explainer:
    """Explains answers of one model. Made once: for trees that takes longer than an explanation."""

    model: Predictor
    _trees: _Trees | None

    def attribution(self, row: Rows, output: str = "", *, background: Rows, budget: int, seed: int) -> Attribution:
        """Of one encoded row, shape (inputs,). ``output``: by default the largest number of the answer.

        ``background``: encoded rows that it is compared with, and ``budget``: how many rows the model may answer for
        that; ``seed`` as ``seed_of`` gives it. Models of trees need none of them. Raises UsageError.
        """
        answers = self.model.answers(row[None, :])[0]
        place = _place(self.model, answers, output)
        found = self._of_trees(row, answers, place) if self._trees else None
        return found or self._sampled(row, float(answers[place]), place, background, budget, seed)

    def _of_trees(self, row: Rows, answers: Any, place: int) -> Attribution | None:
        assert self._trees
        shap, summed, inside = self._trees.shap, self._trees.summed, self._trees.inside
        parts = shap.values(summed.prepare(inside.prepare(row[None, :].copy())))[0]
        base = shap.base
        number = _numbers(self.model).index(place)
        column, sign = _column(inside, number, parts.shape[1])
        told = np.asarray(summed.finish((base + parts.sum(axis=0))[None, :])).reshape(-1)
        own = told[inside.classes[number] if inside.classes is not None else column]
        if not abs(own - answers[place]) <= _AGREES * max(1.0, abs(answers[place])):
            return None
        by_input = np.zeros(len(self.model.signature.inputs))
        np.add.at(by_input, [inside.origins[c] for c in summed.order], sign * parts[:, column])
        return Attribution(
            "trees", summed.scale, self.model.signature.outputs[place].name, float(answers[place]),
            sign * float(base[column]), tuple(by_input.tolist()),
        )  # fmt: skip

    def _sampled(self, row: Rows, answer: float, place: int, background: Rows, budget: int, seed: int) -> Attribution:
        def score(rows: Rows) -> Floats:
            return self.model.answers(rows)[:, place : place + 1].astype(np.float64)

        found = permutation_shap(score, row, background, budget, seed)
        return Attribution(
            "sampled", "answer", self.model.signature.outputs[place].name, answer, float(found.base[0]),
            tuple(found.values[:, 0].tolist()), tuple(found.errors[:, 0].tolist()), found.calls,
        )  # fmt: skip


def explainer(model: Predictor) -> Explainer:
    """Reads the trees of ``model``, where it is made of such."""
    inside = model.inside
    summed = summed_trees(inside.fitted) if inside else None
    if inside is None or summed is None or len(inside.origins) != len(summed.order):
        return Explainer(model, None)
    return Explainer(model, _Trees(tree_shap(summed.trees, len(summed.order), summed.offset), summed, inside))


def seed_of(request_id: str, digest: str) -> int:
    """The same for the same request and model, so that an explanation can be repeated.

    >>> seed_of("r-1", "ab") == seed_of("r-1", "ab") != seed_of("r-2", "ab")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{digest}\0{request_id}".encode()).digest()[:8])


def _numbers(model: Predictor) -> list[int]:
    return [place for place, output in enumerate(model.signature.outputs) if output.type.startswith("float")]


def _place(model: Predictor, answers: Any, output: str) -> int:
    numbers = _numbers(model)
    names = [model.signature.outputs[place].name for place in numbers]
    if not numbers:
        raise UsageError(
            "the model answers with labels alone, which no number of an input adds up to",
            "let its signature name the chances of the classes, as float64",
        )
    if output and output not in names:
        raise UsageError(f"{output!r} is not a number that the model answers with", f"these are: {', '.join(names)}")
    return numbers[names.index(output)] if output else max(numbers, key=lambda place: float(answers[place]))


def _column(inside: FittedInside, number: int, columns: int) -> tuple[int, float]:
    """Which sum of the trees tells of an output, and whether it counts for or against it."""
    if inside.classes is None:
        return number, 1.0
    # Of two classes the trees of boosting know the second one's log-odds.
    return (0, 1.0 if inside.classes[number] == 1 else -1.0) if columns == 1 else (inside.classes[number], 1.0)
