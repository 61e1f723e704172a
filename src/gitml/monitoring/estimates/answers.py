"""What is said of a model while labels are missing; without the libraries that it takes to find it out."""

from __future__ import annotations

from dataclasses import dataclass

# So many times its noise a change has to be for an estimate to say it: then it is off by less than a third of it.
_TOLD = 3.0


@dataclass(frozen=True)
class Estimated:
    """What the metric probably is. ``low`` and ``high``: where the realised value lies in 95 of 100 windows, if only
    the inputs have changed. ``error`` is that of the method in the back-test, ``as_before`` that of saying nothing has
    changed; ``evaluated`` is the metric on the reference. ``noise``: by how much estimate and realised value differ
    (one standard error) because window and reference have so many rows, and by how much methods differ."""

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
    noise: float = 0.0

    @property
    def told(self) -> bool:
        """Whether the change is large enough to be told from chance; if not, the estimate says nothing beyond the
        evaluation and its band."""
        return abs(self.value - self.evaluated) > self.least

    @property
    def least(self) -> float:
        """The smallest change that is told from chance.

        >>> few = Estimated("auc", "CBPE", 0.69, 0.6, 0.78, 0.02, 0.03, 0.70, 0.4, 5, noise=0.01)
        >>> few.told, round(few.least, 3)
        (False, 0.03)
        """
        return _TOLD * self.noise

    def __str__(self) -> str:
        """The value, or that it cannot be told from the evaluation's, with the band and the method."""
        band = f"({self.low:.4g} to {self.high:.4g}) by {self.method}"
        if self.told:
            return f"{self.metric} {self.value:.4g} {band}"
        chance = f"a change of less than {self.least:.2g} cannot be told from chance"
        return f"{self.metric} as evaluated, {self.evaluated:.4g} {band}: {chance}"


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
