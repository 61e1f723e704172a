"""From tables to what estimates take: inputs as numbers, answers and labels by the kind of model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.models.fields import Field
from gitml.monitoring.estimates.rows import Evaluated, Rows, Task
from gitml.monitoring.harm.losses import Floats
from gitml.sketches.gather import is_number, numbers

_FREQUENT, _MOST_WORDS = 0.01, 50
_DAY = 86_400_000_000
# Where rows have no time, parts of them in their order stand for periods.
_PARTS = 8


@dataclass(frozen=True)
class Encoder:
    """How tables of one version become numbers. ``inputs``: column → its frequent words, None for numbers. ``classes``:
    the words that the model answers with; ``scores``: the outputs that tell the chance of each."""

    inputs: tuple[tuple[str, tuple[str, ...] | None], ...]
    output: str
    classes: tuple[str, ...]
    scores: tuple[str, ...]
    task: Task

    def rows(self, table: Any, day: NDArray[np.int64]) -> tuple[Rows, NDArray[np.bool_]]:
        """And which rows of the table they are: those with an answer that can be judged."""
        predicted, scores = self._predicted(table[self.output]), self._scores(table)
        sound = np.isfinite(predicted) & np.isfinite(scores).all(axis=1)
        parts = [self._input(table, name, words) for name, words in self.inputs]
        inputs = np.column_stack(parts) if parts else np.zeros((len(predicted), 0))
        return Rows(inputs, predicted, scores, day)[sound], sound

    def truth(self, labels: Any) -> Floats:
        return _codes(labels, self.classes) if self.classes else _floats(labels)

    def _predicted(self, column: Any) -> Floats:
        return _codes(column, self.classes) if self.classes else _floats(column)

    def _scores(self, table: Any) -> Floats:
        if self.task == "binary":
            return _floats(table[self.output])[:, None]
        return (
            np.column_stack([_floats(table[name]) for name in self.scores])
            if self.scores
            else np.zeros((table.num_rows, 0))
        )

    def _input(self, table: Any, name: str, words: tuple[str, ...] | None) -> Floats:
        if name not in table.column_names:
            return np.full((table.num_rows, len(words) if words is not None else 1), np.nan)
        if words is None:
            return _floats(table[name])[:, None]
        codes = _codes(table[name], words)
        return np.asarray(codes[:, None] == np.arange(len(words)), dtype=np.float64)


def evaluated_of(
    table: Any, inputs: Sequence[str], outputs: Sequence[Field], label: str, time: str = "", prefix: str = ""
) -> tuple[Evaluated, Encoder] | str:
    """The rows of a table that have an answer and a label; or why it cannot be used. ``outputs`` are the signature's,
    the first being the one that is judged; ``prefix`` of their columns."""
    names = [f"{prefix}{field.name}" for field in outputs]
    if not names or names[0] not in table.column_names or label not in table.column_names:
        return "the evaluated rows have no answers or no labels"
    kinds = tuple((name, _words(table[name])) for name in inputs if name in table.column_names)
    classes = _classes(table, outputs[0], names[0], label)
    scores = _scores_of(classes, names[1:], table.column_names)
    task: Task = "classes" if classes else "numbers"
    encoder = Encoder(kinds, names[0], classes, scores, task)
    truth = encoder.truth(table[label])
    if task == "numbers" and np.isin(truth[np.isfinite(truth)], (0.0, 1.0)).all():
        encoder = Encoder(kinds, names[0], (), (), "binary")
    day = day_of(table[time]) if time in table.column_names else np.arange(len(truth)) * _PARTS // max(len(truth), 1)
    rows, sound = encoder.rows(table, day)
    known = np.isfinite(truth[sound])
    if not known.any():
        return "no evaluated row has both an answer and a label that fits it"
    return Evaluated(rows[known], truth[sound][known], encoder.task), encoder


def day_of(moments: Any) -> NDArray[np.int64]:
    """Days since 1970 of an Arrow column of moments in microseconds."""
    return np.asarray(moments.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) // _DAY, dtype=np.int64)


def _words(column: Any) -> tuple[str, ...] | None:
    """The words that one of a hundred rows has; None for numbers."""
    if is_number(column.type) or pa.types.is_boolean(column.type):
        return None
    often = Counter(word for word in column.cast(pa.string()).to_pylist() if word is not None)
    least = _FREQUENT * len(column)
    return tuple(sorted(word for word, count in often.most_common(_MOST_WORDS) if count >= least))


def _classes(table: Any, output: Field, name: str, label: str) -> tuple[str, ...]:
    if output.type != "string":
        return ()
    seen = set(table[name].cast(pa.string()).to_pylist()) | set(table[label].cast(pa.string()).to_pylist())
    return tuple(sorted({word for word in seen if word is not None} | set(output.categories or ())))


def _scores_of(classes: Sequence[str], outputs: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    """The output that tells the chance of each class: it is called like it, or ends in `_` and its name.

    >>> _scores_of(["cat", "dog"], ["output_p_cat", "output_p_dog"], ["output_p_cat", "output_p_dog"])
    ('output_p_cat', 'output_p_dog')
    """
    found = [next((o for o in outputs if o in there and o.endswith(f"_{word}")), "") for word in classes]
    return tuple(found) if all(found) and len(set(found)) == len(found) else ()


def _codes(column: Any, words: Sequence[str]) -> Floats:
    """NaN for what is none of the words."""
    places = {word: float(place) for place, word in enumerate(words)}
    found = [places.get(word, np.nan) for word in column.cast(pa.string()).to_pylist()]
    return np.array(found, dtype=np.float64)


def _floats(column: Any) -> Floats:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not is_number(column.type):
        return np.full(len(column), np.nan)
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.where(np.isfinite(found := numbers(whole)), found, np.nan)
