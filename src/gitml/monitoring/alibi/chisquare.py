"""``ChiSquareDrift`` of alibi-detect: a chi-squared test of homogeneity for each column of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency

from gitml.errors import InconclusiveError, UsageError
from gitml.monitoring.alibi.folder import DetectorFolder
from gitml.monitoring.alibi.univariate import (
    Categories,
    DriftType,
    Floats32,
    Predicted,
    Table,
    UnivariateSettings,
    categories_of,
    corrected,
    flattened,
    reference_of,
    settings_of,
)


class ChiSquareSettings(UnivariateSettings):
    categories_per_feature: Categories | None = None


@dataclass(frozen=True)
class ChiSquareDrift:
    """K. Pearson, "On the criterion that a given system of deviations …", Philosophical Magazine 50 (1900); with Yates'
    correction where there are two categories, as scipy has it.

    >>> x_ref = np.array([[0], [0], [0], [1], [1], [2]])
    >>> detector = ChiSquareDrift(ChiSquareSettings(x_ref="x_ref.npy"), x_ref, {0: [0, 1, 2]})
    >>> found = detector.predict(np.array([[2], [2], [2], [1], [3]]))
    >>> found.is_drift, round(found.p_val[0], 4), round(found.distance[0], 4)
    (0, 0.152, 5.2861)
    """

    settings: ChiSquareSettings
    x_ref: Table
    categories: Mapping[int, Sequence[Any]]

    def predict(self, x: Table, drift_type: DriftType = "batch") -> Predicted:
        """Raises InconclusiveError for no rows and for missing values, UsageError for a category that nobody has."""
        rows = flattened(x, self.x_ref.shape[1])
        tested = [
            chi_square(self.x_ref[:, f], rows[:, f], self.categories[f], f"column {f}") for f in range(rows.shape[1])
        ]
        p_val: Floats32 = np.array([p for _, p in tested], dtype=np.float32)
        return corrected(p_val, np.array([d for d, _ in tested], dtype=np.float32), self.settings, drift_type)


def chi_square(reference: Table, live: Table, categories: Sequence[Any], named: str) -> tuple[float, float]:
    """Statistic and p-value over the categories that are declared or in the live rows.

    alibi-detect itself ends with an error where these raise.
    """
    if _misses(reference) or _misses(live):
        raise InconclusiveError(f"{named} has missing values: a chi-squared test has no place for them")
    every = union(categories, live)
    table = np.array([counts(reference, every), counts(live, every)])
    nobody = [category for category, count in zip(every, table.sum(axis=0), strict=True) if not count]
    if nobody:
        raise UsageError(
            f"category {nobody[0]} of {named} is in no row of the reference or of the window",
            "list in categories_per_feature only what x_ref has; others are added when they come",
        )
    found = chi2_contingency(table)
    return float(found.statistic), float(found.pvalue)


def union(categories: Sequence[Any], *columns: Table) -> list[Any]:
    """What is declared or in any of the columns."""
    return sorted({*categories, *(value for column in columns for value in np.unique(column).tolist())})


def _misses(column: Table) -> bool:
    return column.dtype.kind == "f" and bool(np.isnan(column).any())


def counts(column: Table, categories: Sequence[Any]) -> list[int]:
    """Rows by category."""
    found = dict(zip(*(part.tolist() for part in np.unique(column, return_counts=True)), strict=True))
    return [found.get(category, 0) for category in categories]


def read(folder: DetectorFolder) -> ChiSquareDrift:
    """Raises UsageError for what this reader does not know."""
    settings = settings_of(folder, ChiSquareSettings)
    x_ref = reference_of(folder, settings)
    given = settings.categories_per_feature or dict.fromkeys(range(x_ref.shape[1]))
    categories = categories_of(folder, given, x_ref)
    lacking = [feature for feature in range(x_ref.shape[1]) if feature not in categories]
    if lacking:
        message = f"{folder.path.name}: categories_per_feature does not have column {lacking[0]}"
        raise UsageError(message, "TabularDrift is for tables that have columns of numbers too")
    return ChiSquareDrift(settings, x_ref, categories)
