"""What a method has to do that looks at rows rather than counts, and what it answers: the same for each of them.

Detectors share a declared part of the promised rate of false alarms. Each may use a ``level`` of it at one look. A
p-value that is valid for finitely many rows is held against that level; whatever else a detector finds is shown and
never alarms, with the reason in ``shown_only``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# Of rows that are sampled, for the reference and for the window.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class DetectorRows:
    """``table`` has the inputs by their own names, in the order of the signature. ``clusters`` gives each row the
    number of its cluster, such as the days since 1970: rows of one cluster are alike. None: rows are independent."""

    table: pa.Table
    clusters: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True)
class ColumnEvidence:
    """What a detector says of one column: its part in a joint ``distance``, or a test of its own with a ``p_val``."""

    column: str
    distance: float
    p_val: float | None = None


@dataclass(frozen=True)
class Detection:
    """``is_drift``: ``p_val`` lies below ``threshold``, corrected for columns where a method tests each of them.

    ``distance`` is in the method's own unit, ``low`` and ``high`` its 95 % interval where it has one. ``columns``:
    those that matter most come first. ``shown_only``: why this never alarms, '' where it may. ``p_val`` and
    ``distance`` are None where there was too little to test, which ``shown_only`` says.
    """

    name: str
    is_drift: bool
    p_val: float | None
    distance: float | None
    threshold: float
    low: float | None = None
    high: float | None = None
    columns: Sequence[ColumnEvidence] = field(default=())
    shown_only: str = ""

    @property
    def alarms(self) -> bool:
        return self.is_drift and not self.shown_only


class Detector(Protocol):
    """``judge`` must give equal results for equal rows. ``level`` is the error rate that it may use."""

    @property
    def name(self) -> str:
        """As gitml.yaml calls it."""

    def judge(self, reference: DetectorRows, live: DetectorRows, level: float) -> Detection:
        """Raises InconclusiveError where it cannot run: an environment that is not there, columns that do not fit."""


def too_little(name: str, why: str, level: float) -> Detection:
    """What a detector answers that has not enough rows to test anything."""
    return Detection(name, is_drift=False, p_val=None, distance=None, threshold=level, shown_only=why)


def unreachable(least: float, level: float) -> str:
    """Why a test that cannot give a p-value below ``least`` is shown only; '' where it can reach the level.

    A permutation test with B permutations has (k + 1) / (B + 1): at the least 1 / (B + 1).

    >>> unreachable(1 / 1000, 1.5e-4)
    'its p-value cannot lie below 0.001, and 0.00015 would keep the promise about false alarms'
    >>> unreachable(1 / 10_000, 1.5e-4)
    ''
    """
    if least <= level:
        return ""
    return f"its p-value cannot lie below {least:.2g}, and {level:.2g} would keep the promise about false alarms"
