"""The judgement on traffic that the real writers wrote: what passes, fails, stays open, or is broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gitml.jsontext import canonical
from gitml.rollout import reading
from gitml.rollout.evaluation import Evaluation
from gitml.rollout.judge import judge
from gitml.rollout.trial import DecisionCosts
from gitml.verdict import Phase
from rollout.split_world import (
    DAY,
    MONDAY,
    NEW,
    OLD,
    Served,
    SplitWorld,
    answers,
    arms,
    moments,
    part_of,
    traffic,
    trial,
)


def judged(folder: Path, *parts: Served, **changes: Any) -> Evaluation:
    SplitWorld(folder).serve(*parts)
    return judge(trial(**changes), traffic(folder))


def test_one_that_is_as_good_passes_under_a_margin(tmp_path: Path) -> None:
    found = judged(tmp_path, *arms(8_000, 0.9, 0.91))
    assert found.phase is Phase.SUCCESSFUL, found.reason
    part = part_of(found, "accuracy")
    assert part.low is not None
    assert part.low > -0.02
    assert found.labels.delay_days is not None
    assert found.step.ready
    assert (found.step.weight, found.step.next) == (50, "champion")
    assert found.series[-1].low == part.low
    assert 5 < len(found.series) <= 60
    again = judge(trial(), traffic(tmp_path))
    assert canonical(again.to_dict()) == canonical(found.to_dict()), "the same inputs give the same bytes"


def test_one_that_is_worse_fails_and_says_by_how_much(tmp_path: Path) -> None:
    found = judged(tmp_path, *arms(8_000, 0.9, 0.8))
    assert found.phase is Phase.FAILED
    assert "shown to be worse" in found.reason
    assert not found.step.ready, "one that failed gets no more traffic, and can be signed as failed"


def test_one_that_is_never_right_fails_though_it_has_no_events(tmp_path: Path) -> None:
    found = judged(tmp_path, *arms(8_000, 0.9, 0.0))
    part = part_of(found, "accuracy")
    assert part.events is not None
    assert (found.phase, part.events.candidate) == (Phase.FAILED, 0)


@pytest.mark.parametrize("metric", ["recall", "auc"])
@pytest.mark.parametrize("returning", [False, True])
def test_one_that_says_the_same_to_all_fails_though_nothing_of_it_varies(
    tmp_path: Path, metric: str, returning: bool
) -> None:
    """Its recall is exactly 0, its AUC exactly one half."""
    old, new = arms(6_000, 0.9, 0.9)
    new = replace(new, p=np.full(len(new.when), 0.1))
    if returning:
        old, new = (replace(arm, unit=[f"{arm.arm}{n // 3}" for n in range(len(arm.when))]) for arm in (old, new))
    found = judged(tmp_path, old, new, rules={"metric": metric})
    part = part_of(found, metric)
    assert (found.phase, part.candidate) == (Phase.FAILED, 0.5 if metric == "auc" else 0.0), found.reason
    assert part.high is not None
    assert part.difference is not None
    assert part.difference < part.high < -0.02


def test_few_units_that_all_say_the_same_tell_nothing_yet(tmp_path: Path) -> None:
    old, new = arms(60, 0.9, 0.9)
    found = judged(tmp_path, old, replace(new, p=np.full(len(new.when), 0.1)), rules={"metric": "recall"})
    assert part_of(found, "recall").phase is Phase.INCONCLUSIVE


@pytest.mark.parametrize(
    ("cut", "phase", "words"),
    [
        (0.5, Phase.SUCCESSFUL, "shown to be at most 1 worse"),
        (0.95, Phase.FAILED, ": shown to be worse by more than 1"),
        (None, Phase.INCONCLUSIVE, "the record of the candidate lacks the metric"),
    ],
)
def test_decisions_cost_what_each_version_makes_of_its_answers(
    tmp_path: Path, cut: float | None, phase: Phase, words: str
) -> None:
    """Both answer alike; from .95 on nobody is ever warned, which costs 60 for each of the 40 % that are late."""
    cost = DecisionCosts(60, 20, 0.5, cut)
    found = judged(tmp_path, *arms(3_000, 0.9, 0.9), rules={"metric": "cost", "margin": 1.0, "cost": cost})
    part = part_of(found, "cost")
    assert (found.phase, part.phase) == (phase, phase), found.reason
    assert words in part.reason
    assert found.step.ready is (phase is not Phase.FAILED), "guardrails let it go on"


def test_a_full_queue_of_the_candidate_is_its_error_and_one_of_both_is_nobodys(tmp_path: Path) -> None:
    old, new = arms(2_000, 0.9, 0.9)
    busy = ["busy" if n % 5 == 0 else "ok" for n in range(2_000)]
    found = judged(tmp_path / "one", old, replace(new, outcome=busy[: len(new.when)]))
    assert found.phase is Phase.FAILED
    assert found.reason.startswith("errors: 2")
    old, new = (replace(arm, outcome=busy[: len(arm.when)]) for arm in (old, new))
    assert part_of(judged(tmp_path / "both", old, new), "errors").phase is Phase.INCONCLUSIVE


def test_an_equal_one_stays_open_under_a_goal_and_expires(tmp_path: Path) -> None:
    found = judged(tmp_path, *arms(4_000, 0.9, 0.9), rules={"margin": None, "maximum": 12 * DAY})
    assert found.phase is Phase.INCONCLUSIVE
    assert "not yet shown to be better" in found.reason
    later = judge(trial(rules={"margin": None, "maximum": 10 * DAY}), traffic(tmp_path))
    assert later.reason.startswith("expired undecided after 10 days")
    assert not later.step.ready
    assert later.at >= (later.ends or later.at)


def test_few_units_say_how_many_more_it_takes(tmp_path: Path) -> None:
    found = judged(tmp_path, *arms(300, 0.9, 0.9))
    part = part_of(found, "units")
    assert part.phase is Phase.INCONCLUSIVE
    assert part.needed is not None
    assert "days)" in found.reason
    assert not found.step.ready


def test_errors_fail_it_even_before_the_minimum(tmp_path: Path) -> None:
    old, new = arms(360, 0.9, 0.9)
    new = replace(new, outcome=["failed" if n % 3 == 0 else "ok" for n in range(len(new.when))])
    found = judged(tmp_path, old, new)
    assert part_of(found, "units").phase is Phase.INCONCLUSIVE
    assert found.phase is Phase.FAILED
    assert found.reason.startswith("errors:")
    assert "times as many units" in found.reason


def test_errors_of_returning_users_fail_it_though_the_champion_has_none(tmp_path: Path) -> None:
    old, new = arms(3_000, 0.9, 0.9)
    old, new = (replace(arm, unit=[f"{arm.arm}{n // 5}" for n in range(len(arm.when))]) for arm in (old, new))
    new = replace(new, outcome=["failed" if n % 4 == 0 else "ok" for n in range(len(new.when))])
    found = judged(tmp_path, old, new)
    assert found.phase is Phase.FAILED
    assert found.reason.startswith("errors: 25")


def test_errors_of_a_bad_week_do_not_fail_it(tmp_path: Path) -> None:
    """Ten of a hundred fail in the second week, of both; the candidate has more of that week's requests."""
    good = arms(4_000, 0.9, 0.9, weight=5.0, days=4, epoch="e1")
    bad = arms(2_000, 0.9, 0.9, weight=50.0, days=4, first=MONDAY + 4 * DAY, epoch="e2", seed=1)
    bad = tuple(replace(a, outcome=["failed" if n % 10 == 0 else "ok" for n in range(len(a.when))]) for a in bad)
    part = part_of(judged(tmp_path, *good, *bad), "errors")
    pooled = [
        (part.events.champion or 0) / (part.n.champion or 1),
        (part.events.candidate or 0) / (part.n.candidate or 1),
    ]
    assert pooled[1] > 2 * pooled[0], "pooled it looks broken"
    assert part.phase is Phase.INCONCLUSIVE, part.reason


def test_rare_errors_of_both_pass_exactly(tmp_path: Path) -> None:
    old, new = arms(6_000, 0.9, 0.9)
    old, new = (
        replace(a, outcome=["timed out" if n % 1000 == 7 else "ok" for n in range(len(a.when))]) for a in (old, new)
    )
    part = part_of(judged(tmp_path, old, new), "errors")
    assert part.phase is Phase.SUCCESSFUL, part.reason
    assert part.high is not None
    assert part.high < 0.01


def test_one_client_who_floods_with_failures_does_not_pass_as_one_unit(tmp_path: Path) -> None:
    """Of the candidate's rows a half failed, of its units one: neither says that at most .5 % more rows fail."""
    old, new = arms(3_000, 0.9, 0.9)
    old, new = (replace(a, unit=[f"{a.arm}-{n}" for n in range(len(a.when))]) for a in (old, new))
    count = len(new.when)
    flood = replace(
        new, unit=["broken"] * count, outcome=["failed"] * count, prefix="flood", when=[w + DAY / 1e6 for w in new.when]
    )
    part = part_of(judged(tmp_path, old, new, flood), "errors")
    assert part.phase is not Phase.SUCCESSFUL, part.reason


def test_answers_that_are_missing_are_a_guardrail(tmp_path: Path) -> None:
    old, new = arms(3_000, 0.9, 0.95)
    new = replace(new, p=np.where(np.arange(len(new.when)) % 10 == 0, np.nan, new.p))
    found = judged(tmp_path, old, new)
    assert found.phase is Phase.FAILED
    assert found.reason.startswith("missing answers:")


def test_slow_answers_are_a_guardrail(tmp_path: Path) -> None:
    old, new = arms(3_000, 0.9, 0.95)
    new = replace(new, latency=np.where(np.arange(len(new.when)) % 10 == 0, 0.5, 0.01))
    found = judged(tmp_path, old, new)
    assert found.phase is Phase.FAILED
    assert "slower than 20 ms" in found.reason
    assert "the 99th percentile is 500 to 500 ms with the candidate, 10 to 10 ms with the champion" in found.reason


def test_a_canary_raised_in_a_bad_week_does_not_look_bad(tmp_path: Path) -> None:
    good = arms(8_000, 0.95, 0.95, weight=10.0, days=4, epoch="e1")
    bad = arms(8_000, 0.70, 0.70, weight=50.0, days=4, first=MONDAY + 4 * DAY, epoch="e2", seed=1)
    found = judged(tmp_path, *good, *bad, rules={"margin": 0.05})
    part = part_of(found, "accuracy")
    champion, candidate = (
        1 - sum(np.abs(s.p.round() - s.late).sum() for s in same) / sum(len(s.when) for s in same)
        for same in ((good[0], bad[0]), (good[1], bad[1]))
    )
    assert candidate - champion < -0.05, "pooled it looks worse than the margin"
    assert part.phase is Phase.SUCCESSFUL, part.reason
    assert [(e.weight, e.units.candidate) for e in found.epochs] == [(10, len(good[1].when)), (50, len(bad[1].when))]


def test_users_that_return_are_one_unit(tmp_path: Path) -> None:
    """Twenty requests each, all right or all wrong: a fifth of the units that rows would suggest."""
    rng = np.random.default_rng(3)
    parts = []
    for arm, lucky in (("champion", 0.8), ("canary", 0.8)):
        good = rng.random(200) < lucky
        unit = [f"{arm}-{n}" for n in range(200) for _ in range(20)]
        late = (rng.random(4_000) < 0.4).astype(float)
        right = np.repeat(good, 20)
        parts.append(Served(arm, moments(4_000, 5), answers(right, late), late, unit, weight=50.0))
    found = judged(tmp_path, *parts, rules={"units": 100})
    part = part_of(found, "accuracy")
    assert (part.n.champion, part.n.candidate) == (200, 200)
    assert part.low is not None
    assert part.low < -0.1, "as 200 draws, and not as 4,000"


def test_a_shadow_is_judged_in_pairs(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    late = (rng.random(3_000) < 0.4).astype(float)
    right = rng.random(3_000) < 0.9
    flips = rng.random(3_000) < 0.02
    when, ids = moments(3_000, 5), [f"r{n}" for n in range(3_000)]
    old = Served("champion", when, answers(right, late), late, ids=ids, weight=100.0)
    outcome = ["dropped" if n % 50 == 0 else "ok" for n in range(3_000)]
    new = Served("shadow", when, answers(right ^ flips, late), np.full(3_000, np.nan), ids=ids, outcome=outcome)
    found = judged(tmp_path, old, new, mode="shadow")
    part = part_of(found, "accuracy")
    assert part.n.champion == 2_940
    assert part.low is not None
    assert part.low > -0.03
    assert part_of(found, "answers").difference == pytest.approx(0.02, abs=0.01)
    assert "2.0% of the requests that the shadow should have seen were dropped" in part_of(found, "shadow").reason
    limited = judge(trial(mode="shadow", rules={"disagreement": 0.005}), traffic(tmp_path))
    assert limited.phase is Phase.FAILED
    assert "at most 0.5% may be" in limited.reason


def test_a_shadow_that_fails_where_the_champion_answers_fails(tmp_path: Path) -> None:
    late = np.zeros(1_000)
    when, ids = moments(1_000, 5), [f"r{n}" for n in range(1_000)]
    old = Served("champion", when, late, late, ids=ids)
    outcome = ["failed" if n % 10 == 0 else "ok" for n in range(1_000)]
    found = judged(tmp_path, old, Served("shadow", when, late, late * np.nan, ids=ids, outcome=outcome), mode="shadow")
    assert found.reason.startswith("errors: 10.00% with the candidate, 0.00% with the champion")
    assert found.phase is Phase.FAILED


def test_a_ranking_is_judged_by_how_far_rows_move_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    late = (rng.random(4_000) < 0.3).astype(float)
    score = 1 / (1 + np.exp(-(late * 1.5 + rng.normal(size=4_000) - 1)))
    better = 1 / (1 + np.exp(-(late * 2.5 + rng.normal(size=4_000) - 1)))
    when, ids = moments(4_000, 5), [f"r{n}" for n in range(4_000)]
    old = Served("champion", when, score, late, ids=ids)
    new = Served("shadow", when, better, np.full(4_000, np.nan), ids=ids)
    found = judged(tmp_path, old, new, mode="shadow", rules={"metric": "auc", "margin": None})
    assert found.phase is Phase.SUCCESSFUL, found.reason
    part = part_of(found, "auc")
    assert part.difference == pytest.approx(0.11, abs=0.03)


def test_an_epoch_of_one_class_does_not_hold_up_the_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    parts = []
    for epoch, weight, day, count in (("e1", 50.0, 0, 20), ("e2", 50.0, 1, 3_000)):
        for arm in ("champion", "canary"):
            late = (rng.random(count) < (0.3 if count > 20 else 0)).astype(float)
            score = 1 / (1 + np.exp(-(late * 2 + rng.normal(size=count) - 1)))
            when = moments(count, 3, MONDAY + day * DAY)
            parts.append(Served(arm, when, score, late, weight=weight, epoch=epoch))
    found = judged(tmp_path, *parts, rules={"metric": "auc", "margin": 0.05})
    assert part_of(found, "auc").n.champion == 3_000
    assert part_of(found, "auc").phase is Phase.SUCCESSFUL, found.reason


# What is broken, missing or forged counts neither for the candidate nor against it.


def test_no_traffic_is_inconclusive(tmp_path: Path) -> None:
    found = judge(trial(), traffic(tmp_path))
    assert (found.phase, found.parts[0].part) == (Phase.INCONCLUSIVE, "integrity")
    assert f"no row of {NEW} was found" in found.reason


def test_one_arm_only_is_inconclusive(tmp_path: Path) -> None:
    old, new = arms(2_000, 0.9, 0.9)
    found = judged(tmp_path / "a", old)
    assert (found.phase, found.verdict.exit_code) == (Phase.INCONCLUSIVE, 3)
    found = judged(tmp_path / "b", new)
    assert f"no row of {OLD} beside it was found" in found.reason


def test_the_log_of_another_model_or_pair_says_what_it_has(tmp_path: Path) -> None:
    other = "20250101T000000Z-00000000"
    old, new = (replace(part, version=other) for part in arms(100, 0.9, 0.9))
    found = judged(tmp_path, old, new)
    assert found.phase is Phase.INCONCLUSIVE
    assert f"canary {other}" in found.reason
    assert judge(trial(model="mlp"), traffic(tmp_path, "mlp")).phase is Phase.INCONCLUSIVE


def test_rows_of_an_earlier_champion_are_left_out(tmp_path: Path) -> None:
    before = (replace(p, version="20250101T000000Z-00000000") for p in arms(900, 0.1, 0.1, epoch="e0")[:1])
    found = judged(tmp_path, *before, *arms(8_000, 0.9, 0.91, seed=1))
    assert found.phase is Phase.SUCCESSFUL, found.reason
    assert "left out: champion 20250101T000000Z-00000000" in part_of(found, "versions").reason


def test_versions_swapped_half_way_are_an_error(tmp_path: Path) -> None:
    old, new = arms(1_000, 0.9, 0.9)
    strange = replace(new, version="20250101T000000Z-00000000", prefix="x")
    found = judged(tmp_path, old, new, strange)
    assert (found.phase, found.verdict.exit_code) == (Phase.ERROR, 4)
    assert "versions were swapped" in found.reason


@pytest.mark.parametrize("weight", [-5.0, 150.0, float("inf")])
def test_a_weight_that_nobody_can_have_is_an_error(tmp_path: Path, weight: float) -> None:
    old, new = arms(200, 0.9, 0.9)
    found = judged(tmp_path, old, replace(new, weight=weight))
    assert found.phase is Phase.ERROR, found.reason


def test_versions_that_callers_chose_are_not_canary_traffic(tmp_path: Path) -> None:
    old, new = arms(4_000, 0.9, 0.9)
    chosen = Served("asked", moments(500, 5), np.zeros(500), np.ones(500), version=NEW)
    found = judged(tmp_path, old, new, chosen)
    assert part_of(found, "accuracy").n.candidate == len(new.when)
    assert any(note.startswith("500 rows are left out: their caller chose the version") for note in found.notes)


def test_labels_for_one_arm_only_hold(tmp_path: Path) -> None:
    old, new = arms(4_000, 0.9, 0.9)
    found = judged(tmp_path, old, replace(new, late=np.full(len(new.when), np.nan)))
    assert found.phase is Phase.INCONCLUSIVE
    assert "labels come for 0.0% of the candidate's rows and 100.0% of the champion's" in found.reason


def test_a_labeller_who_floods_one_arm_holds(tmp_path: Path) -> None:
    old, new = arms(4_000, 0.9, 0.6)
    flood = (replace(new, late=new.p.round()), timedelta(hours=8), "friend")
    SplitWorld(tmp_path).serve(old, new, told=[flood])
    found = judge(trial(), traffic(tmp_path))
    assert part_of(found, "accuracy").candidate == 1.0
    assert found.phase is Phase.INCONCLUSIVE
    assert "labels by " in found.reason
    assert any(part.name == "labels by friend" for part in found.parts)


def test_labels_that_say_it_is_worse_hold_its_weight_even_where_they_are_not_believed(tmp_path: Path) -> None:
    old, new = arms(2_000, 0.9, 0.9)
    flood = (replace(new, late=1 - new.late), timedelta(hours=8), "foe")
    SplitWorld(tmp_path).serve(old, new, told=[flood])
    found = judge(trial(), traffic(tmp_path))
    assert (found.phase, part_of(found, "accuracy").phase) == (Phase.INCONCLUSIVE, Phase.FAILED)
    assert not found.step.ready


def test_labels_before_their_requests_are_an_error(tmp_path: Path) -> None:
    found_in = SplitWorld(tmp_path)
    found_in.serve(*arms(1_000, 0.9, 0.9), label_delay=timedelta(hours=-9))
    found = judge(trial(), traffic(tmp_path))
    assert found.phase is Phase.ERROR
    assert "clocks" in found.reason


def test_late_labels_count_for_both_arms_alike(tmp_path: Path) -> None:
    SplitWorld(tmp_path).serve(*arms(3_000, 0.9, 0.9, days=9), label_delay=3 * DAY)
    found = judge(trial(rules={"labels_within": 4 * DAY}), traffic(tmp_path))
    assert found.labels.coverage.candidate == found.labels.coverage.champion == 1.0
    part = part_of(found, "accuracy")
    assert part.n.candidate is not None
    assert 800 < part.n.candidate < 1_200, "two thirds are old enough"
    assert found.labels.delay_days == pytest.approx(3, abs=0.2)


def test_units_that_are_lost_on_the_way_hold_the_verdict(tmp_path: Path) -> None:
    old, new = arms(6_000, 0.9, 0.9)
    kept = range(len(new.when) * 7 // 10)
    new = replace(new, when=[new.when[n] for n in kept], p=new.p[: len(kept)], late=new.late[: len(kept)])
    found = judged(tmp_path, old, new)
    assert found.phase is Phase.INCONCLUSIVE
    assert "units of the candidate, where" in found.reason
    assert not found.step.ready


def test_units_in_both_arms_hold_the_verdict(tmp_path: Path) -> None:
    old, new = arms(6_000, 0.9, 0.9)
    both = [replace(part, unit=[f"u{n}" for n in range(len(part.when))]) for part in (old, new)]
    found = judged(tmp_path, *both)
    assert part_of(found, "units in both arms").phase is Phase.INCONCLUSIVE


def test_hosts_that_have_not_told_all_are_waited_for(tmp_path: Path) -> None:
    SplitWorld(tmp_path).serve(*arms(500, 0.9, 0.9))
    at = MONDAY + 10 * DAY + timedelta(hours=2)
    found = judge(trial(at=at), traffic(tmp_path, at=at))
    assert found.until <= at


def test_answers_that_decide_on_labels_are_not_compared_between_arms(tmp_path: Path) -> None:
    found = judged(tmp_path, *arms(3_000, 0.9, 0.9), rules={"depend_on_answers": True})
    assert found.phase is Phase.INCONCLUSIVE
    assert "labels depend on the answers" in found.reason


def test_more_rows_than_memory_are_thinned_by_whole_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 2_000)
    old, new = arms(6_000, 0.9, 0.91)
    found = judged(tmp_path, old, new)
    part = part_of(found, "units")
    assert part.n.champion is not None
    assert part.n.champion < len(old.when) / 3
    assert "One unit of 4 was counted, evenly." in found.notes
    assert part_of(found, "sample ratio").phase is Phase.SUCCESSFUL


def test_the_digest_of_the_rules_does_not_hold_the_weight() -> None:
    one, other = trial(), trial(rules={"margin": 0.03})
    assert one.rules.digest != other.rules.digest
    assert replace(one, weight=10.0).rules.digest == one.rules.digest
