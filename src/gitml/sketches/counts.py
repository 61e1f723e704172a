"""One column of a sketch, as judgements take it: counts that add up and subtract, and clusters of like rows."""

from __future__ import annotations

from dataclasses import dataclass

from gitml.sketches.grids import Whole


@dataclass(frozen=True)
class Counts:
    """Rows of one column: in each cell of its grid, and without a value.

    ``root`` is the sum over looks of the root of the sum of squared rows of each cluster: rows of one cluster are
    alike, and a window of many looks may meet the same clusters again. Without clusters it is None.
    """

    cells: Whole
    missing: int
    root: float | None = None

    @property
    def present(self) -> int:
        return int(self.cells.sum())

    @property
    def rows(self) -> int:
        return self.present + self.missing

    def __add__(self, other: Counts) -> Counts:
        root = None if self.root is None or other.root is None else self.root + other.root
        return Counts(self.cells + other.cells, self.missing + other.missing, root)

    def __sub__(self, other: Counts) -> Counts:
        root = None if self.root is None or other.root is None else self.root - other.root
        return Counts(self.cells - other.cells, self.missing - other.missing, root)

    def effective(self, alike: float) -> float:
        """The share of rows (0 to 1) that count as independent, when rows of a cluster correlate by ``alike``.

        The design effect of L. Kish, "Survey Sampling" (1965), section 8.2, for clusters of unequal size.
        """
        if self.root is None or not self.rows:
            return 1.0
        return 1 / max(1.0, 1 + (self.root**2 / self.rows - 1) * alike)
