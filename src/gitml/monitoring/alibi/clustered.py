"""How many of a detector's rows count as independent, when rows of a day, an hour or a unit are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gitml.monitoring.alibi.univariate import Table
from gitml.monitoring.promise import LEAST_EFFECTIVE
from gitml.sketches.alike import correlation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Independent:
    """Rows of one column that count: of the window (``live``), and of the detector's reference."""

    live: float
    reference: float

    @property
    def enough(self) -> bool:
        return min(self.live, self.reference) >= LEAST_EFFECTIVE


@dataclass(frozen=True)
class Clusters:
    """``alike``: the intraclass correlation of each column, from a sample of the training's rows. ``together``: the
    probability that two of these share a cluster. ``squares``: the sum of squared rows of the window's clusters.

    Which clusters the rows of ``x_ref`` are of is not known: they are taken to be spread over them as the sample is.
    """

    alike: Sequence[float]
    together: float
    squares: float

    def of(self, column: int, live: int, reference: int) -> Independent:
        """The design effect of L. Kish, "Survey Sampling" (1965), section 8.2."""
        rho = self.alike[column]
        of_reference = reference + reference * (reference - 1) * self.together
        return Independent(_effective(live, self.squares, rho), _effective(reference, of_reference, rho))


def _effective(rows: int, squares: float, rho: float) -> float:
    return rows / max(1.0, 1 + (squares / rows - 1) * rho)


def clusters_of(
    sample: Table, clusters: NDArray[np.int64], live: NDArray[np.int64], categories: Mapping[int, Sequence[Any]]
) -> Clusters:
    """``clusters``: those of the rows of ``sample`` (N, columns), ``live`` those of the window's rows."""
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    rows = sizes.astype(np.float64)
    found = [_alike(sample[:, f], index, rows, in_categories=f in categories) for f in range(sample.shape[1])]
    many = rows.sum()
    together = float((rows * (rows - 1)).sum() / max(many * (many - 1), 1.0))
    of_live = np.unique(live, return_counts=True)[1].astype(np.float64)
    return Clusters(found, together, float((of_live**2).sum()))


def _alike(column: Table, index: NDArray[np.int64], rows: Floats, *, in_categories: bool) -> float:
    """Of mid-ranks; of categories that of the one whose rows come together most."""
    if not in_categories:
        ranks = rankdata(np.unique(column, return_inverse=True)[1]).astype(np.float64)
        return _correlation(ranks, index, rows)
    shares = [(column == value).astype(np.float64) for value in np.unique(column)]
    return max((_correlation(share, index, rows) for share in shares), default=0.0)


def _correlation(values: Floats, index: NDArray[np.int64], rows: Floats) -> float:
    sums: Floats = np.bincount(index, values, minlength=len(rows)).astype(np.float64)
    return correlation(rows, sums, float((values**2).sum()))
