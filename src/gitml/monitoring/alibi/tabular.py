"""``TabularDrift`` of alibi-detect: chi-squared for columns of categories, Kolmogorov-Smirnov for those of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gitml.monitoring.alibi.chisquare import ChiSquareSettings, chi_square
from gitml.monitoring.alibi.folder import DetectorFolder
from gitml.monitoring.alibi.ks import ks_test
from gitml.monitoring.alibi.univariate import (
    Alternative,
    DriftType,
    Floats32,
    Predicted,
    Table,
    categories_of,
    corrected,
    flattened,
    reference_of,
    settings_of,
)


class TabularSettings(ChiSquareSettings):
    alternative: Alternative = "two-sided"


@dataclass(frozen=True)
class TabularDrift:
    """``categories`` by column; a column without is one of numbers.

    >>> rng = np.random.default_rng(0)
    >>> x_ref = np.column_stack([rng.normal(size=200), rng.integers(0, 3, 200)])
    >>> detector = TabularDrift(TabularSettings(x_ref="x_ref.npy"), x_ref, {1: [0.0, 1.0, 2.0]})
    >>> found = detector.predict(np.column_stack([rng.normal(size=100), rng.integers(0, 2, 100)]))
    >>> found.is_drift, [f"{p:.2g}" for p in found.p_val]
    (1, ['0.96', '6.9e-11'])
    """

    settings: TabularSettings
    x_ref: Table
    categories: Mapping[int, Sequence[Any]]

    def predict(self, x: Table, drift_type: DriftType = "batch") -> Predicted:
        """Raises as ``ChiSquareDrift`` does, for the columns of categories."""
        rows = flattened(x, self.x_ref.shape[1])
        tested = [self._tested(f, rows[:, f]) for f in range(rows.shape[1])]
        p_val: Floats32 = np.array([p for _, p in tested], dtype=np.float32)
        return corrected(p_val, np.array([d for d, _ in tested], dtype=np.float32), self.settings, drift_type)

    def _tested(self, feature: int, live: Table) -> tuple[float, float]:
        reference = self.x_ref[:, feature]
        if feature in self.categories:
            return chi_square(reference, live, self.categories[feature], f"column {feature}")
        return ks_test(reference, live, self.settings.alternative)


def read(folder: DetectorFolder) -> TabularDrift:
    """Raises UsageError for what this reader does not know."""
    settings = settings_of(folder, TabularSettings)
    x_ref = reference_of(folder, settings)
    return TabularDrift(settings, x_ref, categories_of(folder, settings.categories_per_feature or {}, x_ref))
