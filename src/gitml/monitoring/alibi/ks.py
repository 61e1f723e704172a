"""``KSDrift`` of alibi-detect: a two-sample Kolmogorov-Smirnov test for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from gitml.errors import UsageError
from gitml.monitoring.alibi.folder import DetectorFolder
from gitml.monitoring.alibi.univariate import (
    Alternative,
    DriftType,
    Floats32,
    Predicted,
    Table,
    UnivariateSettings,
    corrected,
    flattened,
    reference_of,
    settings_of,
)


class KSSettings(UnivariateSettings):
    alternative: Alternative = "two-sided"


@dataclass(frozen=True)
class KSDrift:
    """F. J. Massey, "The Kolmogorov-Smirnov test for goodness of fit", JASA 46 (1951), in alibi-detect's form: the
    asymptotic p-value for any number of rows.

    >>> rng = np.random.default_rng(0)
    >>> detector = KSDrift(KSSettings(x_ref="x_ref.npy"), rng.normal(size=(200, 2)))
    >>> found = detector.predict(rng.normal(size=(100, 2)) + [0, 1])
    >>> found.is_drift, found.threshold, [round(d, 3) for d in found.distance]
    (1, 0.025, [0.1, 0.455])
    """

    settings: KSSettings
    x_ref: Table

    @property
    def categories(self) -> Mapping[int, Sequence[Any]]:
        """None: every column is one of numbers."""
        return {}

    def predict(self, x: Table, drift_type: DriftType = "batch") -> Predicted:
        """Raises InconclusiveError for no rows."""
        rows = flattened(x, self.x_ref.shape[1])
        tested = [ks_test(self.x_ref[:, f], rows[:, f], self.settings.alternative) for f in range(rows.shape[1])]
        p_val: Floats32 = np.array([p for _, p in tested], dtype=np.float32)
        return corrected(p_val, np.array([d for d, _ in tested], dtype=np.float32), self.settings, drift_type)


def ks_test(reference: Table, live: Table, alternative: Alternative) -> tuple[float, float]:
    """Distance and p-value. A missing value counts as one above all others, as it does with the scipy (< 1.12) that
    alibi-detect 0.11.4 needs; newer ones would answer NaN.
    """
    every = np.concatenate([reference, live])
    if every.dtype.kind == "f" and np.isnan(every).any():
        _, ranks = np.unique(every, return_inverse=True)
        reference, live = ranks[: len(reference)], ranks[len(reference) :]
    found = ks_2samp(reference, live, alternative=alternative, method="asymp")
    return float(found.statistic), float(found.pvalue)


def read(folder: DetectorFolder) -> KSDrift:
    """Raises UsageError for what this reader does not know."""
    settings = settings_of(folder, KSSettings)
    x_ref = reference_of(folder, settings)
    if x_ref.dtype.kind == "U":
        raise UsageError(f"{folder.path.name}: KSDrift is for numbers, and x_ref holds texts", "save a ChiSquareDrift")
    return KSDrift(settings, x_ref)
