"""What is said of a model while labels are missing; without the libraries that it takes to find it out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimated:
    """What the metric probably is. ``low`` and ``high``: where the realised value lies in 95 of 100 windows, if only
    the inputs have changed. ``error`` is that of the method in the back-test, ``as_before`` that of saying nothing has
    changed; ``evaluated`` is the metric on the reference."""

    metric: str
    method: str
    value: float
    low: float
    high: float
    error: float
    as_before: float
    evaluated: float
    overlap: float
    periods: int


@dataclass(frozen=True)
class Suitability:
    """``suitable``: that the accuracy fell by less than ``margin`` is certain at ``level``. ``accuracy`` is what C says
    of the window, ``evaluated`` of the evaluation; ``effective``: rows of the window that count as independent."""

    suitable: bool
    p_value: float
    accuracy: float
    evaluated: float
    margin: float
    level: float
    effective: float
