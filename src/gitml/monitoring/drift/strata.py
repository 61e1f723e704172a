"""Like with like: the reference's strata, reweighted to the mix of contexts that a window has.

More night flights change the distribution of almost every column, and are no drift. So each stratum (an hour, a
weekday, a carrier) is compared with its own rows of the reference, and the differences are added up with the window's
weights. That the mix itself changed is reported, and never alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.promise import LEAST_ROWS
from gitml.sketches.counts import Counts
from gitml.sketches.layout import Layout
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import Sketch

Floats = NDArray[np.float64]
_NAMED = 0.01


@dataclass(frozen=True)
class Reweighted:
    """A column of the reference with the mix of a window: ``cells`` (C) as shares of the rows with a value, ``missing``
    as a share of all rows.

    ``present`` and ``rows`` are how many rows of an unweighted reference would be as good: 1 / Σ w²/m over strata with
    weights w and m rows each. ``least_present`` and ``least_rows`` are min m/w. With so many rows every bound of a sum
    of independent rows that comes from its moment generating function holds: of a stratum it is that of a sum of m/w
    rows raised to the power w, and the weighted geometric mean over strata is at most that of the mixture (the
    logarithm is concave). W. Hoeffding, "Probability inequalities for sums of bounded random variables", JASA 58
    (1963), for sums of fewer and fewer alike rows.
    """

    cells: Floats
    missing: float
    present: float
    rows: float
    least_present: float
    least_rows: float


def reweighted(reference: Sketch, live: Sketch, column: str) -> tuple[Reweighted, NDArray[np.bool_]] | None:
    """With the strata that are compared: those that have 30 rows of the reference. None if the window has no row of
    them."""
    base, now = reference.columns[column], live.columns[column]
    known = base.cells.sum(axis=1) >= LEAST_ROWS
    known[-1] = False  # contexts of all kinds together
    m, n = base.cells.sum(axis=1)[known], now.cells.sum(axis=1)[known]
    all_m, all_n = m + base.missing[known], n + now.missing[known]
    if not all_n.sum():
        return None
    # Without a value in the window nothing is compared but how many are missing.
    values, rows = (some / some.sum() if some.sum() else all_n / all_n.sum() for some in (n, all_n))
    cells = values @ (base.cells[known] / m[:, None])
    missing = float(rows @ (base.missing[known] / all_m))
    (present, least_present), (whole, least_rows) = _worth(values, m), _worth(rows, all_m)
    return Reweighted(cells, missing, present, whole, least_present, least_rows), known


def _worth(weights: Floats, m: NDArray[np.int64]) -> tuple[float, float]:
    some = weights > 0
    return float(1 / np.sum(weights[some] ** 2 / m[some])), float((m[some] / weights[some]).min())


def compared(counts: Counts, sketch: Sketch, column: str, known: NDArray[np.bool_]) -> Counts:
    """``counts`` of the column without the strata that are not compared; clusters shrink with their rows."""
    found = sketch.columns[column]
    some = replace(counts, cells=found.cells[known].sum(axis=0), missing=int(found.missing[known].sum()))
    return some if some.root is None else replace(some, root=some.root * some.rows / max(counts.rows, 1))


@dataclass(frozen=True)
class Mix:
    """How many of a window's rows (0 to 1) lie in other contexts than the reference's do (``moved``), and how many have
    a context with fewer than 30 rows of the reference (``unknown``). ``most`` names the one that changed most."""

    context: tuple[str, ...]
    moved: float
    unknown: float
    most: str

    def __str__(self) -> str:
        text = f"{self.moved:.0%} of rows moved between contexts ({', '.join(self.context)})"
        text += f", most: {self.most}" if self.most else ""
        return text + (f"; {self.unknown:.0%} have one that the reference hardly has" if self.unknown >= 0.005 else "")

    def measured(self) -> Mapping[str, Any]:
        return {"context": list(self.context), "context moved": self.moved, "context unknown": self.unknown}


def mix_of(reference: ReferenceSketch, live: Sketch) -> Mix | None:
    """None without context, or without a row."""
    layout = reference.layout
    if not layout.context or not live.rows.sum():
        return None
    before, now = (sketch.rows / sketch.rows.sum() for sketch in (reference.sketch, live))
    unknown = reference.sketch.rows < LEAST_ROWS
    unknown[-1] = True
    place = int(abs(now - before).argmax())
    named = place < len(layout.strata) and before[place] >= _NAMED
    most = f"{_shown(layout, place)} {before[place]:.1%} → {now[place]:.1%}" if named else ""
    return Mix(layout.context, float(abs(now - before).sum() / 2), float(now[unknown].sum()), most)


def _shown(layout: Layout, place: int) -> str:
    pairs = zip(layout.context, layout.strata[place], strict=True)
    return ", ".join(
        f"{name.removeprefix('feature_')} {'missing' if value is None else value}" for name, value in pairs
    )
