"""What has to be right before anything is judged, from counts alone."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from gitml.rollout.evaluation import ArmCounts, WeightEpoch
from gitml.rollout.integrity import ArmUnits, sample_ratio
from gitml.verdict import Phase

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def returning(units: int, candidates: int, epochs: int) -> Phase:
    """The same units in each epoch of a weight of 10 %."""
    arms = [np.arange(candidates, units), np.arange(candidates)]
    seen = [
        ArmUnits(np.tile(arm, epochs), np.repeat(np.arange(epochs, dtype=np.int32), len(arm)).astype(np.int32))
        for arm in arms
    ]
    told = WeightEpoch(10.0, NOW, NOW, ArmCounts(len(arms[0]), len(arms[1])))
    return sample_ratio(seen, [told] * epochs)[0].phase


def test_units_who_return_are_no_further_evidence_of_a_broken_split() -> None:
    assert returning(1_000, 128, epochs=1) is Phase.SUCCESSFUL
    assert returning(1_000, 128, epochs=12) is Phase.SUCCESSFUL
    assert returning(1_000, 160, epochs=1) is Phase.INCONCLUSIVE
