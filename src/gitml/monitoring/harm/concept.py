"""Where the losses of labelled answers changed, by methods of streams: shown for those who know them, never alarmed.

They promise nothing about false alarms over a year, and take each label for independent of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from gitml.monitoring.harm.adwin import adwin
from gitml.monitoring.harm.losses import Floats
from gitml.monitoring.harm.pagehinkley import page_hinkley
from gitml.stats.rowlosses import absolute, right, squared

METHODS: Mapping[str, Callable[[Iterable[float]], Iterator[int]]] = {"page-hinkley": page_hinkley, "adwin": adwin}
# The newest labels, one loss each.
_MOST = 100_000
# Both methods are made for losses of 0 to 1. Where a loss has no end, so many times its mean at the evaluation is 1.
_LARGE = 4.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ConceptChange:
    """``changes``: how many a method noticed. Of the newest: its ``day``, and the mean loss (0 to 1) before it, since
    the last change, and after it; None if there was none."""

    method: str
    changes: int
    day: str = ""
    before: float | None = None
    after: float | None = None

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.method}: no change of the losses"
        way = "larger" if (self.after or 0.0) > (self.before or 0.0) else "smaller"
        return f"{self.method}: losses {way} since {self.day} ({self.before:.3g} → {self.after:.3g})"


def concept_changes(losses: Floats, days: Sequence[int], methods: Sequence[str]) -> tuple[ConceptChange, ...]:
    """``losses`` of 0 to 1 with their days since 1970, in any order.

    >>> found = concept_changes(np.repeat([0.1, 0.9], 500), np.arange(1000) // 100, ["page-hinkley"])
    >>> str(found[0])
    'page-hinkley: losses larger since 1970-01-06 (0.195 → 0.9)'
    """
    order = np.argsort(days, kind="stable")[-_MOST:]
    ordered, when = losses[order], np.asarray(days)[order]
    return tuple(_newest(method, ordered, when.tolist(), [*METHODS[method](ordered.tolist())]) for method in methods)


def _newest(method: str, losses: Floats, days: Sequence[int], places: Sequence[int]) -> ConceptChange:
    if not places:
        return ConceptChange(method, 0)
    first, last = places[-2] if len(places) > 1 else 0, places[-1]
    day = f"{_EPOCH + timedelta(days=int(days[last])):%Y-%m-%d}"
    return ConceptChange(method, len(places), day, float(losses[first:last].mean()), float(losses[last:].mean()))


def bounded_losses(metric: str, truth: Floats, predicted: Floats, evaluated: float) -> Floats:
    """A loss of 0 to 1 for each answer, larger where it is worse. ``evaluated``: the metric's value at the evaluation.

    >>> bounded_losses("accuracy", np.array([1.0, 0.0]), np.array([0.9, 0.8]), 0.9).tolist()
    [0.0, 1.0]
    """
    if metric in ("accuracy", "macro_f1"):
        return 1.0 - right(truth, predicted)
    unexplained = (1 - evaluated) * float(truth.var()) if len(truth) else 0.0
    large = {"mae": evaluated, "mse": evaluated, "rmse": evaluated**2, "r2": unexplained}.get(metric, 1 / _LARGE)
    found = absolute(truth, predicted) if metric == "mae" else squared(truth, predicted)
    return np.clip(found / (_LARGE * large), 0.0, 1.0) if large > 0 else np.minimum(found, 1.0)
