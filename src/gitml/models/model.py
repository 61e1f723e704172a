"""A loaded model: encoded rows in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gitml.errors import FailedError
from gitml.models.devices import Gpu
from gitml.models.signature import Columns, InputError, Rows, Signature, probe

Answers = NDArray[Any]


class ModelError(FailedError):
    """The model itself failed on rows that fit its signature."""


class UnknownWordError(ModelError):
    """The model refuses words that its signature does not have either; ``problems`` names each with its row."""

    def __init__(self, found: InputError) -> None:
        self.problems = found.problems
        super().__init__(found.message, found.hint)


class FittedInside(NamedTuple):
    """What answers inside a model, for explanations. ``prepare``: encoded rows to the columns that it takes;
    ``origins``: the input that each of these is made of; ``classes``: which of its classes each number among the
    outputs is the chance of, None if they are no chances."""

    fitted: Any
    prepare: Callable[[Rows], Any]
    origins: tuple[int, ...]
    classes: tuple[int, ...] | None


class OpenedModel(NamedTuple):
    """What a format makes of a file: see ``Predictor``. ``words``: see ``Signature.knowing``."""

    score: Callable[[Rows], Answers]
    how: str
    steady: bool = True
    inside: FittedInside | None = None
    words: Mapping[str, frozenset[str]] = MappingProxyType({})
    device: Gpu | None = None
    on_cores: Callable[[Rows], Answers] | None = None


@dataclass(frozen=True)
class Predictor:
    """Safe to call from many threads. ``how``: `arrays`, `objects` where each call makes Python objects of its rows, or
    `frame` where it has to build a pandas table.

    ``steady``: how long a call takes depends on its number of rows alone, not on what stands in them. ``examples``:
    rows that the model was tried with when it was loaded; made from the signature where there were no samples.
    ``inside``: the estimator that answers, where the library is known and its columns are made of one input each.
    ``device``: the GPU that answers, None for cores; ``on_cores`` answers the same without it.
    """

    signature: Signature
    format: str
    digest: str
    how: str
    score: Callable[[Rows], Answers]
    steady: bool = True
    examples: Rows | None = None
    inside: FittedInside | None = None
    device: Gpu | None = None
    on_cores: Callable[[Rows], Answers] | None = None

    def some(self, count: int) -> Rows:
        """``count`` rows that the model answers: its examples, over and over."""
        if self.examples is None or not len(self.examples):
            return probe(self.signature, count)
        return self.examples[np.arange(count) % len(self.examples)]

    def predict(self, rows: Columns | Rows) -> Answers:
        """Answers for columns by name, or for rows as the signature encodes them.

        Shape (rows,) if the signature has one output, otherwise (rows, outputs). Raises InputError for columns that do
        not fit the signature, UnknownWordError for words that the model refuses, ModelError if the model fails or
        answers with other than finite numbers.
        """
        encoded = self.signature.columns(rows) if isinstance(rows, Mapping) else rows
        wide = self.answers(encoded)
        return wide[:, 0] if len(self.signature.outputs) == 1 else wide

    def answers(self, rows: Rows) -> Answers:
        """The same, always with shape (rows, outputs), for encoded rows."""
        width = len(self.signature.outputs)
        if len(rows) == 0:
            return np.empty((0, width))
        try:
            found = np.asarray(self.score(rows))
        except FailedError:
            raise
        except Exception as exc:
            refused = exc if isinstance(exc, InputError) else self._unknown(rows)
            if refused:  # an encoder that refuses what it was not fitted on: whoever sent the word can mend it
                raise UnknownWordError(refused) from exc
            raise ModelError(f"the model raised {type(exc).__name__}: {_short(exc)}") from exc
        if found.ndim == 1:
            found = found[:, None]
        if found.shape != (len(rows), width):
            raise ModelError(
                f"the model answers with the shape {found.shape}, the signature asks for {(len(rows), width)}"
            )
        if not np.isfinite(self._numbers(found)).all():
            raise ModelError("the model answers with NaN or an infinite number")
        return found

    def _unknown(self, rows: Rows) -> InputError | None:
        try:
            self.signature.refuse_unknown(rows)
        except InputError as found:
            return found
        return None

    def _numbers(self, found: Answers) -> Answers:
        if found.dtype.kind == "f":
            return found
        if found.dtype.kind != "O":
            return found[:0, :0].astype(float)
        # A label may stand beside probabilities.
        places = [place for place, output in enumerate(self.signature.outputs) if output.type.startswith("float")]
        return found[:, places].astype(float)


def _short(exc: Exception) -> str:
    text = " ".join(str(exc).split())
    return text if len(text) <= 200 else f"{text[:197]}..."
