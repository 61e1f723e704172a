"""What the report of a look says of outliers, and of detectors of alibi-detect."""

from __future__ import annotations

from typing import Any

import pytest

from gitml.reports.lookdetectors import detectors
from gitml.reports.lookfacts import LookStory
from gitml.reports.lookoutliers import outliers
from reports.look_kit import effect, look


def found(**more: Any) -> dict[str, Any]:
    return {
        "rows": 1400, "share": 0.086, "usual": 0.0174, "effect": effect(0.069, 0.031, 0.11, floor=0.02),
        "strangest": [{"request_id": f"r`{i}", "row": i} for i in range(10)], "muted": "", "lacking": "",
        "drifted": True, **more,
    }  # fmt: skip


def text(**more: Any) -> str:
    (section,) = outliers(LookStory(look(outliers=found(**more))))
    return section.head


def test_the_share_with_its_interval_and_the_strangest_by_id() -> None:
    said = text()
    assert "8.6% of 1,400 rows, 1.7% of the training's" in said
    assert "floor 0.02; 🔴 more than usual" in said
    assert said.count(" row ") == 10
    assert "🟢" in text(drifted=False)
    assert "🔕 known" in text(muted="known")


def test_what_cannot_be_told_is_said() -> None:
    assert "too few rows" in text(effect=None)
    assert "torn" in text(lacking="the file is torn")
    assert not list(outliers(LookStory(look())))


@pytest.mark.parametrize(("drift", "said"), [(1, "drift"), (0, "no drift")])
def test_a_detector_of_alibi_says_who_ran_it_and_its_own_threshold(drift: int, said: str) -> None:
    one = {
        "name": "alibi detectors/mmd", "distance": 0.3, "p_val": 0.001, "threshold": 1.5e-4, "columns": [],
        "alarms": False, "shown_only": "", "alibi": {"is_drift": drift},
        "by": "MMDDrift of alibi-detect 0.13.0 (Business Source License 1.1)",
    }  # fmt: skip
    (section,) = detectors(LookStory(look(detectors=[one])))
    (line,) = section.rows
    assert f"by its own threshold {said}" in line
    assert "Business Source License 1.1" in line
