"""Did the arms get the shares of units that they should have got?

M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: the counts' likelihood,
mixed over a Dirichlet distribution around the shares that were meant, against the likelihood of exactly those.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from gitml.stats.influence import Ints, checked, whole

# How close around the meant shares the others are sought: a share of a half is meant to be missed by some .01.
CONCENTRATION = 1_000.0
# A broken split is a bug, not a finding; a rate of one in two hundred leaves the verdict's own error rate alone.
LEVEL = 0.005


def log_evalue(units: ArrayLike, shares: ArrayLike, *, concentration: float = CONCENTRATION) -> float:
    """The logarithm of the evidence that units were not assigned by ``shares``.

    Both (epochs, arms) or (arms,): how many units came into each arm in each epoch, and the shares meant then, which
    sum to 1. They are refuted at log(1 / level) or more, however often one looks. An arm that was meant to get nothing
    must have nothing: otherwise the evidence is infinite.

    >>> round(log_evalue([5_200, 4_800], [0.5, 0.5]), 2), round(log_evalue([5_000, 5_000], [0.5, 0.5]), 2)
    (6.08, -1.2)
    """
    counts, meant = np.atleast_2d(checked("units", units)), np.atleast_2d(checked("shares", shares))
    if counts.shape != meant.shape or (counts < 0).any() or (meant < 0).any():
        raise ValueError("units and shares must have the same shape and not be negative")
    if not np.allclose(meant.sum(axis=1), 1.0):
        raise ValueError("the shares of an epoch must sum to 1")
    if (counts[meant == 0] > 0).any():
        return float("inf")
    used = meant > 0
    prior = np.where(used, concentration * meant, 1.0)
    mixed = np.where(used, gammaln(prior + counts) - gammaln(prior) - counts * np.log(np.where(used, meant, 1.0)), 0.0)
    totals = counts.sum(axis=1)
    return float(mixed.sum() - (gammaln(concentration + totals) - gammaln(concentration)).sum())


def newcomers(unit: ArrayLike, arm: ArrayLike, epoch: ArrayLike) -> Ints:
    """How many units came into each arm in each epoch, (epochs, 2), each in its first epoch alone; of (n,) rows.

    A unit that returns is in the same place of the draw as before. Counted again in every epoch, a chance surplus would
    be told as often as there are epochs: 2,000 units who return at five weights are then called broken in 1 %, at one
    weight in five epochs in 3 %, where a two-hundredth is promised.

    >>> newcomers([1, 2, 3, 1, 2, 4], [0, 0, 1, 0, 1, 1], [0, 0, 0, 1, 1, 1]).tolist()
    [[2, 1], [0, 1]]
    """
    units, arms, epochs = whole("units", unit), whole("arms", arm), whole("epochs", epoch)
    size = int(epochs.max(initial=-1)) + 1
    if not size:
        return np.zeros((0, 2), np.int64)
    order = np.argsort(units, kind="stable")
    units, arms, epochs = units[order], arms[order], epochs[order]
    starts = np.flatnonzero(np.append(True, units[1:] != units[:-1]))
    first = np.minimum.reduceat(epochs, starts)
    here = epochs == np.repeat(first, np.diff(starts, append=len(units)))
    seen = [np.logical_or.reduceat(here & (arms == arm), starts) for arm in (0, 1)]
    return np.stack([np.bincount(first[some], minlength=size) for some in seen], axis=1)
