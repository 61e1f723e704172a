"""The window scan: which columns lie above their floor in any of the last windows, over a whole year of looks.

Every comparison has its own error rate out of one ``Promise``. A column has drifted when the lower bound of an effect
lies above the floor that somebody chose, in the effect's own unit: Kolmogorov-Smirnov distance or total variation, and
for missing values the difference of shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import ndtri

from gitml.monitoring.drift.bounds import (
    Floats,
    distance_halfwidth,
    distance_p,
    rank_halfwidth,
    rank_p,
    share_lower,
    share_p,
)
from gitml.monitoring.drift.strata import Reweighted
from gitml.monitoring.promise import LEAST_EFFECTIVE, LEAST_ROWS, WINDOWS, Promise
from gitml.sketches.counts import Counts
from gitml.sketches.grids import Grid, NumberGrid

# What each way of looking at a column may use of the column's error rate.
_DISTANCE, _RANK, _MARKS, _MISSING = 0.40, 0.40, 0.10, 0.10
_PREFIX, _SINGLES = 0.30, 0.60


@dataclass(frozen=True)
class Floors:
    """Effects that nobody minds: distances of distributions, and differences of the share of missing values.

    ``columns``: other distances, by column.
    """

    numbers: float = 0.05
    categories: float = 0.05
    missing: float = 0.02
    columns: Mapping[str, float] = field(default_factory=dict)

    def of(self, column: str, grid: Grid) -> float:
        """That of the column's values."""
        return self.columns.get(column, self.numbers if isinstance(grid, NumberGrid) else self.categories)


@dataclass(frozen=True)
class Baseline:
    """The reference of one column. ``alike`` is the intraclass correlation of its clusters, 0 for independent rows.

    ``mixed``: where contexts are held fixed, the reference with the mix of each window, by its number of looks.
    """

    grid: Grid
    counts: Counts
    alike: float = 0.0
    mixed: Mapping[int, Reweighted] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """How far a column lies from its reference in the last ``window`` looks, with its interval.

    ``low`` and ``high`` hold together with those of all columns, windows and looks of the year. ``direction`` is the
    shift of the mean mid-rank (-.5 to .5) of numbers, and of missing values the difference of their shares.
    """

    column: str
    of: Literal["values", "missing"]
    window: int
    rows: int
    effective: float
    estimate: float
    low: float
    high: float
    direction: float
    p: float
    floor: float
    drifted: bool


@dataclass(frozen=True)
class _Pair:
    """Live and reference rows of one column and window, with what the promise leaves for it.

    With strata the weights depend on the window, so that there is no band of the reference which is paid for once. And
    the inequality of Dvoretzky, Kiefer and Wolfowitz is about rows of equal weight: the distance of weighted ones is
    taken as the largest of as many differences as there are edges of cells, each with Hoeffding's bound.
    """

    live: Counts
    base: Baseline
    window: int
    promise: Promise

    @property
    def mixed(self) -> Reweighted | None:
        return self.base.mixed.get(self.window)

    @property
    def n(self) -> float:
        return self.live.present * self.live.effective(self.base.alike)

    @property
    def m(self) -> float:
        """For distances."""
        return self._effective(self.mixed.present if self.mixed else self.base.counts.present)

    @property
    def m_of_sums(self) -> float:
        """For ranks and shares, whose bounds are those of sums."""
        return self._effective(self.mixed.least_present if self.mixed else self.base.counts.present)

    def _effective(self, rows: float) -> float:
        return rows * self.base.counts.effective(self.base.alike)

    @property
    def all_rows(self) -> tuple[float, float]:
        """The same with rows without a value: live and reference."""
        m = self.mixed.least_rows if self.mixed else self.base.counts.rows
        return self.live.rows * self.live.effective(self.base.alike), self._effective(m)

    @property
    def shares(self) -> tuple[Floats, Floats]:
        x, y = self.live, self.base.counts
        of_reference = self.mixed.cells if self.mixed else y.cells / max(y.present, 1)
        return x.cells / max(x.present, 1), of_reference

    @property
    def missing(self) -> tuple[float, float]:
        y = self.base.counts
        return self.live.missing / self.live.rows, self.mixed.missing if self.mixed else y.missing / y.rows

    @property
    def differences(self) -> int:
        return max(len(self.base.counts.cells) - 1, 1) if self.mixed else 1

    def band(self, m: float) -> float:
        return math.inf if self.mixed else self.promise.band(m)

    def level(self, part: float) -> float:
        return self.promise.level(self.window, part)


def scan(
    looks: Mapping[str, Sequence[Counts]],
    baselines: Mapping[str, Baseline],
    promise: Promise,
    floors: Floors = Floors(),
) -> tuple[Effect, ...]:
    """The worst window of each column's values and missing values. ``looks`` hold the counts of each look, newest last.

    A column with fewer than 30 rows, or 5 effective ones, in every window or in its reference has no effect of that
    kind.
    """
    found = {column: dict(windows(counts)) for column, counts in looks.items()}
    return scan_windows(found, baselines, promise, floors)


def scan_windows(
    live: Mapping[str, Mapping[int, Counts]],
    baselines: Mapping[str, Baseline],
    promise: Promise,
    floors: Floors = Floors(),
) -> tuple[Effect, ...]:
    """The same from the counts of each window, by its number of looks."""
    return tuple(
        worst
        for column, counts in live.items()
        for kind in (_of_values, _of_missing)
        if (worst := _worst(kind(column, counts, baselines[column], promise, floors)))
    )


def _worst(effects: Iterator[Effect]) -> Effect | None:
    return max(effects, key=lambda e: (e.drifted, e.low, -e.p, -e.window), default=None)


def windows(counts: Sequence[Counts]) -> Iterator[tuple[int, Counts]]:
    """The sums of the last 1, 2, 3, 4, 8, 16 and 32 looks, as far as there are so many."""
    total: Counts | None = None
    for size, one in enumerate(reversed(counts[-max(WINDOWS) :]), start=1):
        total = one if total is None else total + one
        if size in WINDOWS:
            yield size, total


def _too_few(rows: int, effective: float) -> bool:
    return rows < LEAST_ROWS or effective < LEAST_EFFECTIVE


def _of_values(
    column: str, counts: Mapping[int, Counts], base: Baseline, promise: Promise, floors: Floors
) -> Iterator[Effect]:
    for window, live in counts.items():
        pair = _Pair(live, base, window, promise)
        if _too_few(live.present, pair.n) or _too_few(base.counts.present, pair.m):
            continue
        see = _numbers if isinstance(base.grid, NumberGrid) else _categories
        yield see(column, pair, floors.of(column, base.grid))


def _numbers(column: str, pair: _Pair, floor: float) -> Effect:
    n, m, sums = pair.n, pair.m, pair.m_of_sums
    x, y = pair.shares
    distance = float(np.abs(np.cumsum(x) - np.cumsum(y)).max())
    rank = float(x @ (np.cumsum(y) - y / 2)) - 0.5
    marks = np.asarray(pair.base.grid.marks)  # type: ignore[union-attr]
    half = distance_halfwidth(pair.level(_DISTANCE) / pair.differences, n, m, pair.band(m))
    whole = max(0.0, distance - half, abs(rank) - rank_halfwidth(pair.level(_RANK), n, sums, pair.band(sums)))
    singles = _Singles(x[marks], y[marks], pair, _MARKS / len(marks), floor, whole)
    p = min(
        _distance_p(distance, floor, pair, _DISTANCE),
        rank_p(rank, floor, n, sums, pair.band(sums)) / _RANK,
        singles.p_scaled,
    )
    return _effect(column, pair, floor, estimate=distance, low=singles.low, high=distance + half, direction=rank, p=p)


def _categories(column: str, pair: _Pair, floor: float) -> Effect:
    n, m = pair.n, pair.m
    x, y = pair.shares
    prefix = float(np.abs(np.cumsum(x) - np.cumsum(y)).max())
    variation = float(np.abs(x - y).sum()) / 2
    half = distance_halfwidth(pair.level(_PREFIX) / pair.differences, n, m, pair.band(m))
    singles = _Singles(x, y, pair, _SINGLES / len(x), floor, max(0.0, prefix - half))
    p = min(_distance_p(prefix, floor, pair, _PREFIX), singles.p_scaled)
    low, high = singles.low, variation + half
    return _effect(column, pair, floor, estimate=variation, low=low, high=high, direction=0.0, p=p)


def _distance_p(distance: float, floor: float, pair: _Pair, part: float) -> float:
    return distance_p(distance, floor, pair.n, pair.m, pair.band(pair.m)) * pair.differences / part


class _Singles:
    """Shares of single cells, each of which bounds the distance of the distributions from below.

    ``low``: the best of these bounds, or ``whole``, that of the whole distribution, where it is larger.
    """

    def __init__(self, live: Floats, reference: Floats, pair: _Pair, part: float, floor: float, whole: float) -> None:
        # A bound is never larger than the difference itself: most cells need not be asked, and asking is what takes
        # time.
        may = np.abs(live - reference) > whole
        lows = share_lower(live[may], pair.n, reference[may], pair.m_of_sums, pair.level(part))
        self.low = max(whole, float(lows.max(initial=0.0)))
        self.p_scaled = float(share_p(live, pair.n, reference, pair.m_of_sums, floor).min()) / part


def _of_missing(
    column: str, counts: Mapping[int, Counts], base: Baseline, promise: Promise, floors: Floors
) -> Iterator[Effect]:
    for window, live in counts.items():
        pair = _Pair(live, base, window, promise)
        n, m = pair.all_rows
        if _too_few(live.rows, n) or _too_few(base.counts.rows, m):
            continue
        x, y = (np.array([share]) for share in pair.missing)
        low = float(share_lower(x, n, y, m, pair.level(_MISSING))[0])
        p = float(share_p(x, n, y, m, floors.missing)[0]) / _MISSING
        over = distance_halfwidth(pair.level(_MISSING), n, m, pair.band(m))
        estimate = float(abs(x - y)[0])
        yield Effect(
            column, "missing", window, live.rows, n, estimate, low, min(1.0, estimate + over), float((x - y)[0]),
            min(1.0, p / WINDOWS[window]), floors.missing, low > floors.missing,
        )  # fmt: skip


def _effect(
    column: str, pair: _Pair, floor: float, *, estimate: float, low: float, high: float, direction: float, p: float
) -> Effect:
    return Effect(
        column, "values", pair.window, pair.live.rows, pair.n, estimate, low, min(1.0, high), direction,
        min(1.0, p / WINDOWS[pair.window]), floor, low > floor,
    )  # fmt: skip


def also_moved(effects: Sequence[Effect], rate: float = 0.05) -> tuple[Effect, ...]:
    """A wider list for an alarm that stands: of the columns named, at most ``rate`` are expected to be named wrongly.

    It says nothing over the schedule; it is looked at when an effect has drifted.
    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995).
    """
    ordered = sorted(effects, key=lambda e: e.p)
    passing = [i for i, e in enumerate(ordered, start=1) if e.p <= rate * i / len(ordered)]
    return tuple(ordered[: max(passing, default=0)])


def rows_needed(
    target: float, floor: float, reference: float, promise: Promise, power: float = 0.9, strata_of: int = 0
) -> int | None:
    """Live rows with which a distance of ``target`` is seen above ``floor`` with this probability.

    None: not with any number of them; then the reference has too few rows. ``strata_of``: so many cells, where contexts
    are held fixed.

    >>> rows_needed(0.10, 0.05, 20_000, Promise(52, 40, promotions=1))
    5453
    """
    level, band = promise.level(1, _DISTANCE), promise.band(reference)
    if strata_of:
        level, band = level / max(strata_of - 1, 1), math.inf

    def seen(n: float) -> bool:
        luck = float(ndtri(power)) * 0.5 * math.sqrt(1 / n + 1 / reference)
        return target - luck - distance_halfwidth(level, n, reference, band) > floor

    low, high = 1, 10**10
    if not seen(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def least_reference(target: float, floor: float, promise: Promise, power: float = 0.9) -> int:
    """Reference rows without which no number of live rows shows a distance of ``target`` above ``floor``."""
    low, high = 1, 10**10
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rows_needed(target, floor, middle, promise, power) else (middle, high)
    return high
