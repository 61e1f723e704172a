"""What is counted: which columns into which cells, apart for which strata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitml.sketches.grids import Grid

# What a moment tells; other context is a column of the layout.
CALENDAR = ("hour", "weekday", "month")
MOST_STRATA = 256

Stratum = tuple[str | None, ...]


@dataclass(frozen=True)
class Layout:
    """``columns`` by name, as the traffic has them: ``feature_…``, ``output_…``.

    ``context``: names of columns, or of ``CALENDAR``, whose values are held fixed when windows are compared. ``strata``
    are the values that the reference has of them; rows with others are counted together, as the last stratum. With
    ``units`` the rows of each unit are counted as well.
    """

    columns: Mapping[str, Grid]
    context: tuple[str, ...] = ()
    strata: tuple[Stratum, ...] = ()
    units: bool = False

    @property
    def parts(self) -> int:
        """How many strata are counted apart, with the one of all others; 1 without context."""
        return len(self.strata) + 1 if self.context else 1
