"""How far the realised metric may lie from an estimate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.estimates.method import Method
from gitml.monitoring.estimates.rows import Evaluated, Rows
from gitml.monitoring.harm.losses import Floats

_DRAWS = 60
_MOST = 20_000


def variance_of_reference(
    method: Method, metric: str, reference: Evaluated, ratio: Floats, live: Rows, number: NDArray[np.int64]
) -> float:
    """Of an estimate, because the reference is a sample of the days it has (``number``: the period of each of its rows,
    which are left out in turn). NaN where the metric is not defined."""
    count = int(number.max()) + 1
    without = [
        method.estimate(metric, reference[number != period], ratio[number != period], live) for period in range(count)
    ]
    found = np.array(without)
    return (count - 1) / count * float(((found - found.mean()) ** 2).sum())


def variance_of_window(metric: str, reference: Evaluated, ratio: Floats, rows: int) -> float:
    """Of the realised metric, because the window has ``rows`` rows: by drawing windows from the reference, as it is
    weighted (the bootstrap). NaN where the metric is not defined in most of them."""
    rng = np.random.default_rng(0)
    share, drawn = ratio / ratio.sum(), min(rows, _MOST)
    often = rng.multinomial(drawn, share, size=_DRAWS).astype(np.float64)
    values = np.array([reference.metric(metric, one) for one in often])
    sound = values[np.isfinite(values)]
    return float(sound.var(ddof=1)) * drawn / rows if len(sound) > _DRAWS / 2 else math.nan
