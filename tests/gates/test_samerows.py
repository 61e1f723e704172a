"""Gate `champion` on signed evidence `compared`: an easier hold-out opens nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gitml.gates import champion
from gitml.gates.champion import Margin
from gitml.gates.facts import Facts
from gitml.stats.comparison import Estimate
from gitml.verdict import Phase
from policy.kit import OLD, OLD_FILE, facts, near, proof, version

GOOD, BAD, OPEN = Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE
RULES = "a" * 64
SAME = {"cost": Margin(margin=0.2, same_rows=True)}


def compared(low: Any = -0.4, high: Any = 0.1, *, result: str = "passed", **changes: Any) -> Any:
    value = (low + high) / 2 if isinstance(low, float) and isinstance(high, float) else -0.1
    row = {"metric": "cost", "new": 10.0 + value, "old": 10.0, "value": value, "low": low, "high": high}
    details = {"against": {"version": OLD, "artifact": OLD_FILE}, "rules": RULES, "metrics": [row], **changes}
    return proof("compared", result=result, details=details)


def of(*proofs: Any, resamples: tuple[str, str] = ("mine", "theirs"), easier: float = 5.0) -> Facts:
    """By its own metrics the new version is better by far, since its rows were ``easier``."""
    here = version(
        metrics={"cost": near(10 - easier, 0.01)}, better={"cost": "lower"}, holdout=RULES, resamples=resamples[0]
    )
    there = version(OLD, OLD_FILE, metrics={"cost": near(10.0, 0.01)}, resamples=resamples[1])
    return facts(candidate=here, champion=there, proofs=proofs)


def test_an_easier_hold_out_passes_only_where_nobody_asks_for_the_same_rows() -> None:
    assert champion.judge(of(), {"cost": Margin(margin=0.2)}).phase is GOOD
    found = champion.judge(of(), SAME)
    assert (found.phase, "no evidence `compared`" in found.reason) == (OPEN, True)


@pytest.mark.parametrize(
    ("low", "high", "phase"),
    [(-0.4, 0.1, GOOD), (-0.1, 0.2, GOOD), (-0.1, 0.21, OPEN), (0.25, 0.9, BAD), (float("nan"), 0.1, OPEN)],
)
def test_the_interval_on_the_same_rows_decides(low: float, high: float, phase: Phase) -> None:
    assert champion.judge(of(compared(low, high)), SAME).phase is phase


def test_it_decides_unasked_where_the_rows_differ() -> None:
    worse = compared(0.3, 0.9)
    assert champion.judge(of(worse), {"cost": Margin(margin=0.2)}).phase is BAD
    same = of(worse, resamples=("same", "same"), easier=0.0)
    assert champion.judge(same, {"cost": Margin(margin=0.2)}).phase is GOOD, "replicates of the same rows pair"
    assert champion.judge(same, SAME).phase is BAD, "but they are the branch's own"


@pytest.mark.parametrize(
    "changes",
    [
        {"against": {"version": OLD, "artifact": "f" * 64}},
        {"against": {"version": "20260101T000000Z-00000000", "artifact": OLD_FILE}},
        {"rules": "b" * 64},
        {"result": "inconclusive", "reason": "no rows"},
        {"metrics": []},
        {"metrics": "cost"},
        {"metrics": [{"metric": "cost", "new": 9, "old": 10, "value": -1, "low": 0, "high": 1}]},
    ],
)
def test_what_is_of_other_versions_rules_or_makes_no_sense_says_nothing(changes: Any) -> None:
    assert champion.judge(of(compared(**changes)), SAME).phase is OPEN


def test_what_policy_asks_for_can_be_told_beforehand() -> None:
    asked = {"auc": Margin(margin=0.1), "cost": Margin(margin=0.2, same_rows=True)}
    assert [(need.what, need.name) for need in champion.needs(asked)] == [
        ("better", "auc"),
        ("better", "cost"),
        ("replicates", ""),
        ("holdout", ""),
        ("evidence", "compared"),
    ]
    assert "replicates" not in [need.what for need in champion.needs(SAME)]


def test_without_holdout_no_evidence_helps() -> None:
    bare = facts(
        candidate=version(metrics={"cost": Estimate(9.0)}, better={"cost": "lower"}),
        champion=version(OLD, OLD_FILE),
        proofs=(compared(),),
    )
    assert "does not declare `holdout`" in champion.judge(bare, SAME).reason
