"""What a method of estimation has to do."""

from __future__ import annotations

from typing import Protocol

from gitml.monitoring.estimates.rows import Evaluated, Rows
from gitml.monitoring.harm.losses import Floats


class Method(Protocol):
    """Gives equal numbers for equal rows."""

    @property
    def name(self) -> str:
        """As the literature calls it."""

    def fits(self, reference: Evaluated) -> bool:
        """Whether it can estimate for such answers."""

    def estimate(self, metric: str, reference: Evaluated, ratio: Floats, live: Rows) -> float:
        """The metric on ``live``. ``ratio``: how much more frequent rows like each of the reference are in it. NaN
        where it is not defined."""
