"""The answer of detectors: what may alarm, and what is shown only."""

from __future__ import annotations

from dataclasses import replace

from gitml.monitoring.detectors.detector import Detection, too_little, unreachable


def test_what_is_shown_only_never_alarms() -> None:
    found = Detection("d", is_drift=True, p_val=0.0001, distance=0.3, threshold=0.0002)
    assert found.alarms
    assert not replace(found, shown_only=unreachable(0.001, 0.0002)).alarms
    assert not too_little("d", "8 rows", 0.0002).alarms
