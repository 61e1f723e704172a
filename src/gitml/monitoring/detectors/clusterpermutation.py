"""Whether scores of one group of clusters lie higher than those of another: exact for any number of clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

# So many ways are tried one by one; of more a sample is drawn, until enough of them say that nothing is to be seen.
_EXACT, _ENOUGH, _CHUNK = 20_000, 20, 1_000
_MOST = 400_000


@dataclass(frozen=True)
class Separation:
    """``auc``: the probability that a score of the second group is the higher one (0 to 1, ties count half), with its
    standard error where each group has two clusters. ``least``: the smallest p-value that could have come out."""

    auc: float
    error: float | None
    p: float
    least: float


def permutation_test(first: Floats, second: Floats, level: float, rng: np.random.Generator) -> Separation:
    """Scores of shape (clusters, rows), equally many rows in each cluster.

    If clusters are exchangeable, whatever rows of a cluster have in common, the p-value is valid for any number of
    them. Without an end in sight it is drawn until 20 draws lie higher: J. Besag and P. Clifford, "Sequential Monte
    Carlo p-values", Biometrika 78 (1991). ``level``: how small a p-value shall be able to become.

    >>> rng = np.random.default_rng(0)
    >>> found = permutation_test(rng.normal(0, 1, (9, 20)), rng.normal(2, 1, (3, 20)), 0.01, rng)
    >>> round(found.auc, 2), round(found.p, 4), round(found.least, 4)
    (0.89, 0.0045, 0.0045)
    """
    m, n = len(first), len(second)
    ranks = mid_ranks(np.concatenate([first, second])).reshape(m + n, -1)
    of_clusters = ranks.sum(axis=1)
    observed = float(of_clusters[m:].sum())
    p, least = sum_test(of_clusters, n, observed, level, rng)
    rows = first.shape[1]
    auc = (observed - n * rows * (n * rows + 1) / 2) / (m * rows * n * rows)
    return Separation(auc, _error(first, second, ranks), p, least)


def sum_test(sums: Floats, n: int, observed: float, level: float, rng: np.random.Generator) -> tuple[float, float]:
    """Of clusters with these ``sums``: how likely ``n`` of them sum up to ``observed``, and the least p-value."""
    ways = math.comb(len(sums), n)
    limit = observed - 1e-9 * abs(observed)  # sums of the same clusters in another order are the same
    if ways <= _EXACT:
        index = np.array(list(combinations(range(len(sums)), n)))
        return float((sums[index].sum(axis=1) >= limit).mean()), 1 / ways
    draws = min(_MOST, math.ceil(5 / level))
    above = done = 0
    while done < draws and above < _ENOUGH:
        count = min(_CHUNK, draws - done)
        chosen = rng.random((count, len(sums))).argpartition(n, axis=1)[:, :n]
        higher = np.flatnonzero(sums[chosen].sum(axis=1) >= limit)
        if above + len(higher) >= _ENOUGH:
            return _ENOUGH / (done + int(higher[_ENOUGH - above - 1]) + 1), 1 / (draws + 1)
        above, done = above + len(higher), done + count
    return (above + 1) / (draws + 1), 1 / (draws + 1)


def _error(first: Floats, second: Floats, ranks: Floats) -> float | None:
    """From how far clusters differ.

    N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53 (1997), for independent
    clusters that lie in one group each.
    """
    m, n = len(first), len(second)
    if m < 2 or n < 2:
        return None
    rows = first.shape[1]
    among_first = (ranks[:m] - mid_ranks(first).reshape(m, -1)).mean(axis=1) / (n * rows)
    among_second = (ranks[m:] - mid_ranks(second).reshape(n, -1)).mean(axis=1) / (m * rows)
    return math.sqrt(float(among_first.var(ddof=1)) / m + float(among_second.var(ddof=1)) / n)


def mid_ranks(values: Floats) -> Floats:
    """From 1 on, of all values in one row; equal ones share the middle of their ranks.

    >>> mid_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    found: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return found


def quantile(clusters: int) -> float:
    """Student's quantile of a two-sided 95 % interval from so many clusters."""
    return float(stdtrit(max(clusters - 1, 1), 0.975))
