"""A boundary that a Brownian motion crosses at any time with a given probability at most.

H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41
(1970); in the form of S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic
confidence sequences", Annals of Statistics 49 (2021), propositions 4 (two sides) and 5 (one side).

``v`` is the variance that has gathered so far (intrinsic time), ``s`` the sum, ``rho`` the mixture's parameter: it
decides at what ``v`` the boundary is tightest, never whether it holds, and is chosen before the data are seen.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

Sides = Literal[1, 2]
Floats = NDArray[np.float64]


def best_rho(v: float, level: float, sides: Sides = 1) -> float:
    """The parameter with which the boundary is nearly the tightest at ``v`` (Howard et al. 2021, section 3.5).

    >>> round(best_rho(100, 0.05, sides=2), 5)
    12.60056
    """
    wanted = 2 * math.log(1 / (level * (3 - sides)))
    return v / (wanted + math.log(1 + wanted))


def log_mixture(s: ArrayLike, v: ArrayLike, rho: float, sides: Sides = 1) -> Floats:
    """The logarithm of the e-value against a mean of zero; with one side, of zero or less.

    >>> round(float(log_mixture(10, 100, best_rho(100, 0.05))), 8)
    -0.06502391
    """
    s, v = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
    both = 0.5 * np.log(rho / (v + rho)) + s**2 / (2 * (v + rho))
    # s² grows on the wrong side too; there the tail takes it back.
    found: Floats = both if sides == 2 else both + math.log(2) + log_ndtr(s / np.sqrt(v + rho))
    return found


def bound(v: ArrayLike, level: float, rho: float, sides: Sides = 1) -> Floats:
    """The sum that is exceeded at any time with probability ``level`` at most.

    >>> [round(float(bound(100, 0.05, best_rho(100, 0.05, sides), sides)), 4) for sides in (1, 2)]
    [27.6607, 30.3521]
    """
    v = np.asarray(v, dtype=np.float64)
    wanted = math.log(1 / level) + 0.5 * np.log((v + rho) / rho)
    x = np.sqrt(2 * wanted)
    if sides == 1:
        # The mixture is convex and x lies above its root, so that Newton's steps come down to it.
        for _ in range(8):
            tail = log_ndtr(x)
            over = math.log(2) + x**2 / 2 + tail - wanted
            x = x - over / (x + np.exp(-(x**2) / 2 - tail) / math.sqrt(2 * math.pi))
    found: Floats = x * np.sqrt(v + rho)
    return found
