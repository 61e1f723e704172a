"""Detectors of alibi-detect as detectors of a monitor: those that are read here, and those that run in the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.errors import InconclusiveError
from gitml.monitoring.alibi.apart import AlibiAnswer
from gitml.monitoring.alibi.clustered import Clusters, clusters_of
from gitml.monitoring.alibi.finite import finite_p
from gitml.monitoring.alibi.own import OwnDetector
from gitml.monitoring.detectors.detector import ColumnEvidence, Detection, DetectorRows, unreachable
from gitml.monitoring.promise import LEAST_ROWS

Ask = Callable[[NDArray[Any]], AlibiAnswer]

_CLUSTERED = (
    "alibi-detect takes rows as independent, and those of a day, an hour or a unit are alike here: its test would "
    "alarm without a cause. `clusters: []` says that they are independent"
)
_ASYMPTOTIC = "its p-value holds for many rows only, which promises nothing"
_ONLINE = "it expects a false alarm every so many rows, which promises nothing over a year"
_OUTLIERS = "it counts outliers, and says nothing about drift"
# (k + 1) / (B + 1) for k of B permutations is valid for any number of rows. alibi-detect says k / B.
_PERMUTES = frozenset({"MMDDrift", "LSDDDrift", "LearnedKernelDrift"})
_EXACT = frozenset({"FETDrift"})


@dataclass(frozen=True)
class AlibiDetection(Detection):
    """``alibi``: `is_drift`, `distance`, `p_val` and `threshold` as alibi-detect has them, by its own threshold.
    ``by`` says what ran it, and under which licence where that matters."""

    alibi: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


@dataclass(frozen=True)
class AlibiColumns:
    """Which inputs the detector takes, in the order of its ``x_ref``; ``categories``: those of columns of texts, which
    are numbered in this order where the detector has numbers."""

    names: Sequence[str]
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def matrix(self, table: pa.Table, *, texts: bool = False) -> NDArray[Any]:
        """Rows and columns: texts, or float64 with NaN for what is missing and -1 for a category that is not known."""
        lacking = [name for name in self.names if name not in table.schema.names]
        if lacking:
            raise InconclusiveError(f"the rows have no column {lacking[0]}", "name others: `columns` of the detector")
        if not self.names:
            raise InconclusiveError("the detector has no column", "name them: `columns` of the detector")
        as_one = self._texts if texts else self._numbers
        return np.column_stack([as_one(name, table[name]) for name in self.names])

    def _numbers(self, name: str, column: Any) -> NDArray[np.float64]:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            codes = {word: code for code, word in enumerate(self.categories.get(name, ()))}
            found = [np.nan if word is None else codes.get(word, -1) for word in column.to_pylist()]
            return np.array(found, dtype=np.float64)
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)

    def _texts(self, _: str, column: Any) -> NDArray[np.str_]:
        return np.array(["" if word is None else str(word) for word in column.to_pylist()], dtype=np.str_)


@dataclass(frozen=True)
class OwnAlibi:
    """A detector that is read as data, and run here with alibi-detect's numbers."""

    name: str
    detector: OwnDetector
    columns: AlibiColumns

    def judge(self, reference: DetectorRows, live: DetectorRows, level: float) -> AlibiDetection:
        """What is compared with is the detector's own; ``reference``, a sample of the training's rows, tells how alike
        rows of a cluster are. Raises InconclusiveError for no rows, or columns that do not fit.
        """
        x_ref = self.detector.x_ref
        if x_ref.shape[1] != len(self.columns.names):
            raise InconclusiveError(
                f"the detector was saved with {x_ref.shape[1]} columns, and is given {len(self.columns.names)}",
                "name its inputs in the order of x_ref: `columns` of the detector in gitml.yaml",
            )
        rows = self.columns.matrix(live.table, texts=x_ref.dtype.kind == "U")
        if x_ref.dtype.kind == "f":  # 0.1 is another number in float32
            rows = rows.astype(x_ref.dtype)
        found = self.detector.predict(rows)
        clusters, why = self._clusters(reference, live)
        p_val = finite_p(self.detector, rows, clusters)
        evidence = _evidence(self.columns.names, found.distance, found.p_val)
        return AlibiDetection(
            self.name, is_drift=p_val < level, p_val=p_val, distance=evidence[0].distance, threshold=level,
            columns=evidence, shown_only=why, alibi=found.to_dict(),
            by=f"gitml, as {type(self.detector).__name__} of alibi-detect 0.11.4",
        )  # fmt: skip

    def _clusters(self, reference: DetectorRows, live: DetectorRows) -> tuple[Clusters | None, str]:
        """None where rows are independent, or where it is not known how alike they are, with the reason."""
        if live.clusters is None:
            return None, ""
        if reference.clusters is None or len(reference) < LEAST_ROWS:
            return None, f"{_CLUSTERED}, `reference_rows` of the model tell how alike they are"
        texts = self.detector.x_ref.dtype.kind == "U"
        sample = self.columns.matrix(reference.table, texts=texts)
        return clusters_of(sample, reference.clusters, live.clusters, self.detector.categories), ""


@dataclass(frozen=True)
class RealAlibi:
    """One that the real alibi-detect runs; ``ask`` starts it. ``licence`` is said where it is not Apache-2.0."""

    name: str
    columns: AlibiColumns
    ask: Ask
    licence: str = ""

    def judge(self, reference: DetectorRows, live: DetectorRows, level: float) -> AlibiDetection:
        """The reference is the detector's own. Raises InconclusiveError for no rows, and where it does not answer."""
        if not len(live):
            raise InconclusiveError("there is no row to hold against the detector's reference")
        answer = self.ask(self.columns.matrix(live.table))
        p_val, why = _held(answer, level)
        distance = answer.distance[0] if answer.distance else None
        evidence = self._of_columns(answer)
        return AlibiDetection(
            self.name, is_drift=p_val is not None and p_val < level, p_val=p_val,
            distance=evidence[0].distance if evidence else distance, threshold=level, columns=evidence,
            shown_only=why if live.clusters is None else why or _CLUSTERED, alibi=_own_words(answer),
            by=f"{answer.detector} of alibi-detect {answer.version}{self.licence and f' ({self.licence})'}",
        )  # fmt: skip

    def _of_columns(self, answer: AlibiAnswer) -> tuple[ColumnEvidence, ...]:
        """Where it has a test for each column."""
        if answer.kind != "drift" or not len(answer.p_val) == len(answer.distance) == len(self.columns.names) > 1:
            return ()
        return _evidence(self.columns.names, [number or 0.0 for number in answer.distance], answer.p_val)


def _evidence(
    names: Sequence[str], distance: Sequence[float], p_val: Sequence[float | None]
) -> tuple[ColumnEvidence, ...]:
    found = [ColumnEvidence(*one) for one in zip(names, distance, p_val, strict=True)]
    return tuple(sorted(found, key=lambda one: (one.p_val is None, one.p_val or 0.0, one.column)))


def _held(answer: AlibiAnswer, level: float) -> tuple[float | None, str]:
    """The p-value for all columns together, and why it never alarms."""
    known = [p for p in answer.p_val if p is not None]
    if answer.kind == "online":
        return None, _ONLINE
    if answer.kind == "outlier":
        return None, _OUTLIERS
    if not known:
        return None, "it gave no p-value"
    least = min(1.0, min(known) * len(answer.p_val))
    if answer.detector in _PERMUTES and answer.permutations:
        many = answer.permutations
        return (min(known) * many + 1) / (many + 1), unreachable(1 / (many + 1), level)
    return least, "" if answer.detector in _EXACT else _ASYMPTOTIC


def _own_words(answer: AlibiAnswer) -> dict[str, Any]:
    def one_or_all(numbers: Sequence[float | None]) -> Any:
        return numbers[0] if len(numbers) == 1 else [*numbers] or None

    told: dict[str, Any] = {"is_drift": int(answer.is_drift), "distance": one_or_all(answer.distance)}
    told |= {"p_val": one_or_all(answer.p_val), "threshold": one_or_all(answer.threshold)}
    return told | ({"first_row": answer.first} if answer.kind == "online" else {})
