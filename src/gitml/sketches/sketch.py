"""The counts of one window, or of one reference. Those of windows add up to that of all their rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.errors import UsageError
from gitml.sketches.counts import Counts
from gitml.sketches.grids import Whole
from gitml.sketches.units import squares

# What rows may be alike by.
CLUSTERS = ("hour", "day", "unit")

Route = tuple[str, str, str]


@dataclass(frozen=True)
class ColumnSketch:
    """One column, in S strata and C cells.

    ``cells`` (S, C) and ``missing`` (S) count rows. ``unfit`` of the missing have a value of another kind: words where
    the reference has numbers. ``absent`` rows come from batches without the column, and are counted nowhere else. Of
    the finite numbers, ``total`` is the sum in the grid's steps, ``least`` and ``most`` the extremes; ``infinite`` are
    not among them.
    """

    cells: Whole
    missing: Whole
    absent: int = 0
    unfit: int = 0
    infinite: int = 0
    total: int = 0
    least: float | None = None
    most: float | None = None

    @property
    def finite(self) -> int:
        return int(self.cells.sum()) - self.infinite

    def __add__(self, other: ColumnSketch) -> ColumnSketch:
        low = [x for x in (self.least, other.least) if x is not None]
        high = [x for x in (self.most, other.most) if x is not None]
        return ColumnSketch(
            self.cells + other.cells,
            self.missing + other.missing,
            self.absent + other.absent,
            self.unfit + other.unfit,
            self.infinite + other.infinite,
            self.total + other.total,
            min(low, default=None),
            max(high, default=None),
        )


@dataclass(frozen=True)
class Sketch:
    """``layout`` is the digest of what was counted by. ``rows`` (S) are those of each stratum, ``hours`` those of each
    hour since 1970 and stratum; ``units`` see there, None where they are not counted.

    ``routes``, of traffic alone: arm, version, outcome → rows and requests, also of rows that no column is counted of.
    """

    layout: str
    rows: Whole
    columns: Mapping[str, ColumnSketch]
    hours: Mapping[tuple[int, int], int] = field(default_factory=dict)
    units: Whole | None = None
    routes: Mapping[Route, tuple[int, int]] = field(default_factory=dict)

    def __add__(self, other: Sketch) -> Sketch:
        """Raises UsageError for a sketch of another layout."""
        if self.layout != other.layout:
            raise UsageError(
                f"sketches of layouts {self.layout[:12]} and {other.layout[:12]} do not add up",
                "count both windows by one reference",
            )
        units = None if self.units is None or other.units is None else self.units + other.units
        return Sketch(
            self.layout,
            self.rows + other.rows,
            {name: column + other.columns[name] for name, column in self.columns.items()},
            dict(Counter(self.hours) + Counter(other.hours)),
            units,
            added(self.routes, other.routes),
        )

    def counts(self, column: str, cluster: str = "", stratum: int | None = None) -> Counts:
        """The column as judgements take it, of all strata or of one. ``cluster``: one of ``CLUSTERS``, '' for none."""
        found = self.columns[column]
        some = slice(None) if stratum is None else slice(stratum, stratum + 1)
        alike = self.squares(cluster, stratum) if cluster else None
        root = None if alike is None else math.sqrt(alike)
        return Counts(found.cells[some].sum(axis=0), int(found.missing[some].sum()), root)

    def squares(self, cluster: str, stratum: int | None = None) -> float | None:
        """The sum over clusters of their squared rows; None where it was not counted. Units of one stratum are not
        counted apart: what all strata have of them is not less."""
        if cluster == "unit":
            return None if self.units is None else squares(self.units, int(self.rows.sum()))
        if not self.hours:
            return None
        clusters: Counter[int] = Counter()
        for (hour, part), rows in self.hours.items():
            if stratum in (None, part):
                clusters[hour // 24 if cluster == "day" else hour] += rows
        return float(sum(rows**2 for rows in clusters.values()))


def added(
    some: Mapping[Route, tuple[int, int]], others: Mapping[Route, tuple[int, int]]
) -> dict[Route, tuple[int, int]]:
    found = dict(some)
    for route, (rows, requests) in others.items():
        before = found.get(route, (0, 0))
        found[route] = before[0] + rows, before[1] + requests
    return found
