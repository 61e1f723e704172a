"""Whoever holds the key of looks, and nothing else: what it signs stands beside honest looks, and not before them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from evidence.canary_kit import BEGAN, HOUR, evaluation
from evidence.evidence_kit import REPOSITORY, VERSION, binding, enveloped, key_pair, stamp, trusted
from evidence.look_kit import FIRST, WEEK, look_details
from gitml.evidence.canaries import canary_details, details_of
from gitml.evidence.looks import KIND, RESULTS, look_of, looks_of
from gitml.evidence.statement import Binding, Statement
from gitml.evidence.trust import Believed, believe
from gitml.verdict import Phase

KEY, PUBLIC = key_pair()
ENDS, NOW = FIRST + WEEK, FIRST + 2 * WEEK


def look(signed: datetime, details: Mapping[str, Any]) -> Believed:
    """As whoever has the key signs it: with any date."""
    told = details["look"]
    about = Binding.model_validate(
        {
            "kind": KIND, "repository": REPOSITORY, "time": stamp(signed), "model": told["model"],
            "environment": told["environment"], "version": told["version"], "artifact": "a" * 64,
            "result": RESULTS[Phase(told["phase"])],
        }
    )  # fmt: skip
    return believe(enveloped(about, KEY, details), {"looks": trusted(PUBLIC, (KIND,))}, REPOSITORY, NOW)


@pytest.mark.parametrize("early", [timedelta(days=6), timedelta(minutes=3)])
def test_no_look_is_signed_before_its_window_ended(early: timedelta) -> None:
    """It would be the first of its id, whenever the honest one comes."""
    honest = look(ENDS + timedelta(hours=1), look_details(version=VERSION, drift="failed"))
    forged = look(ENDS - early, look_details(version=VERSION))
    assert forged, "the key signs looks"
    with pytest.raises(ValueError, match="before the look itself"):
        look_of(forged)
    looks = looks_of([forged, honest])
    assert [(one.said, one.details.look.phase) for one in looks.counting] == [(honest, Phase.FAILED)]
    assert looks.later == ()


def test_clocks_of_runners_may_differ_by_a_little() -> None:
    assert look_of(look(ENDS - timedelta(minutes=1), look_details(version=VERSION))).version == VERSION


def test_no_evaluation_of_a_candidate_is_signed_before_it_was_made() -> None:
    told = canary_details(evaluation(3))
    arm = told["evaluation"]["candidate"]
    about = binding(
        "canary", model="m", environment="production", version=arm["version"], artifact=arm["artifact"],
        time=stamp(BEGAN + HOUR),
    )  # fmt: skip
    with pytest.raises(ValueError, match="before the evaluation itself"):
        details_of(Statement(about, told))
    later = Statement(about.model_copy(update={"time": stamp(BEGAN + 3 * HOUR)}), told)
    assert details_of(later).evaluation.until == BEGAN + 3 * HOUR
