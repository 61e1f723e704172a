"""How long requests wait for a server that is busy part of the time, from how long it takes for each."""

from __future__ import annotations

import math


def waiting_p99(load: float, seconds: float, variation: float = 1.0) -> float:
    """The 99th percentile of the time that a request waits before it is its turn, in seconds.

    ``load``: the part of the time in which the server is busy, 0 to 1; ``seconds``: what one request takes;
    ``variation``: the squared coefficient of variation of that, 1 where it is exponential, 0 where it is constant.
    Infinite where the load is 1 or more.

    The mean is that of Pollaczek and Khinchine for arrivals at random (M/G/1: Kleinrock, Queueing Systems I, 1975,
    section 5.6); the tail is taken as exponential, with a chance of ``load`` to wait at all, which is exact for M/M/1.

    For M/M/1 at load .5 and 1 s, P(wait > t) = .5 exp(-.5 t):

    >>> round(waiting_p99(.5, 1.0), 3) == round(2 * math.log(50), 3)
    True
    >>> waiting_p99(.01, 1.0), waiting_p99(1.0, 1.0)
    (0.0, inf)
    """
    if load >= 1:
        return math.inf
    if load <= 0.01:
        return 0.0
    mean = load * seconds * (1 + variation) / (2 * (1 - load))
    return mean / load * math.log(100 * load)


def load_for(seconds: float, wait: float, most: float = 0.7) -> float:
    """The largest load, at most ``most``, at which 99 of 100 requests wait no longer than ``wait`` seconds, where one
    takes ``seconds``.

    >>> load_for(.001, 1.0), load_for(1.0, 0.0) < .02
    (0.7, True)
    >>> .1 < load_for(.01, .03) < .2
    True
    """
    if waiting_p99(most, seconds) <= wait:
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if waiting_p99(middle, seconds) <= wait else (low, middle)
    return low
