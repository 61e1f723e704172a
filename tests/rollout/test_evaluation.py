from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from gitml.jsontext import canonical
from gitml.rollout.evaluation import (
    ArmCounts,
    Contender,
    Evaluation,
    JudgedPart,
    SequencePoint,
    StillNeeded,
    WeightEpoch,
    WeightStep,
)
from gitml.verdict import Phase

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ONE = Evaluation(
    model="delay",
    environment="production",
    mode="split",
    candidate=Contender("20260301T080000Z-3f2a90bc", "a" * 64),
    champion=Contender("20260201T080000Z-77777777", "b" * 64),
    rules="c" * 64,
    since=DAY,
    until=DAY + timedelta(days=3),
    at=DAY + timedelta(days=3),
    phase=Phase.INCONCLUSIVE,
    reason="too little is known: ~1,200 units, 3 days",
    parts=(
        JudgedPart("traffic", "units", Phase.SUCCESSFUL, "enough", n=ArmCounts(900, 100)),
        JudgedPart("primary", "accuracy", Phase.INCONCLUSIVE, "wide", 0.8, 0.81, 0.01, -0.02, None, 0.01),
    ),
    epochs=(WeightEpoch(10, DAY, DAY + timedelta(days=3), ArmCounts(900, 100)),),
    series=(SequencePoint(DAY, 0.0, None, None),),
    step=WeightStep(10, 50, ready=True),
)


def test_it_is_json_with_nulls_and_times_in_utc() -> None:
    told = ONE.to_dict()
    assert json.loads(canonical(told)) == told
    assert (told["since"], told["until"]) == ("2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z")
    assert told["parts"][1]["high"] is None
    assert told["parts"][0]["n"] == {"champion": 900, "candidate": 100}
    assert told["epochs"][0]["since"] == told["series"][0]["at"] == "2026-03-01T00:00:00Z"
    assert told["step"] == {"weight": 10, "next": 50, "ready": True}


def test_the_same_moment_elsewhere_gives_the_same_bytes() -> None:
    there = replace(ONE, since=DAY.astimezone(timezone(timedelta(hours=5))))
    assert canonical(there.to_dict()) == canonical(ONE.to_dict())


def test_its_verdict_has_the_numbers_of_the_primary_part() -> None:
    verdict = ONE.verdict
    assert (verdict.phase, verdict.exit_code) == (Phase.INCONCLUSIVE, 3)
    assert verdict.measurements == {
        "champion": 0.8,
        "candidate": 0.81,
        "difference": 0.01,
        "low": -0.02,
        "margin": 0.01,
    }


def test_what_is_still_needed_is_said_in_words() -> None:
    assert [str(StillNeeded(1200, days)) for days in (3.2, 1.2, 0.2, None)] == [
        "~1,200 units, 3 days",
        "~1,200 units, 1 day",
        "~1,200 units, 5 hours",
        "~1,200 units",
    ]
