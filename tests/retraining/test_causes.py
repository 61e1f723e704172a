"""What makes a training due, pure: from looks, versions and data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evidence.look_kit import look_details
from gitml.evidence.looks import LookDetails, look_id
from gitml.retraining.brakes import Brake, Declined, PastRetraining, Situation
from gitml.retraining.causes import DataChange, NamedLook, UpstreamChange, WatchedVersion
from gitml.retraining.plan import RetrainPlan, by_hand, causes_of, plan, plan_all
from gitml.spec.retrain import RetrainRules, RetrainSpec

VERSION = "20260101T000000Z-3f2a90bc"
WEEK = timedelta(weeks=1)
FIRST = datetime(2026, 2, 2, tzinfo=UTC)
WATCHED = WatchedVersion("m", "production", VERSION, WEEK)


def looks(said: str, **extra: Any) -> tuple[NamedLook, ...]:
    """A look a week: d drifted, a dot is well, ? cannot be told. ``extra`` is what the look tells beside that."""
    phases = {"d": "failed", ".": "successful", "?": "inconclusive"}
    found = []
    for week, letter in enumerate(said):
        raw = look_details(week, version=VERSION, drift=phases[letter])
        raw["look"] |= extra
        details = LookDetails.model_validate(raw)
        assert look_id(details.look, details.configuration) == details.id
        found.append(NamedLook(f"look-{week}", details.look.until, details))
    return tuple(found)


def situation(
    said: str = "", at: datetime | None = None, causes: tuple[str, ...] = ("drift",), **more: Any
) -> Situation:
    spec = {"causes": causes, "every": "30d", "data": ["d.dvc"], "set": {"a": "yesterday"}, **more.pop("spec", {})}
    rules = RetrainRules.model_validate(more.pop("rules", {}))
    end = at or FIRST + len(said) * WEEK + timedelta(hours=1)
    seen = more.pop("looks", looks(said))
    return Situation(
        "m", end, RetrainSpec.model_validate(spec), rules, newest=VERSION, watched=(WATCHED,), looks=seen, **more
    )


@pytest.mark.parametrize(
    ("said", "stands", "since"),
    [
        ("d", False, 0), ("dd", True, 0), (".d.d", True, 1), ("dd..", False, 0), ("..dd?", True, 2), ("d..dd", True, 3),
    ],
)  # fmt: skip
def test_k_of_n_looks_are_a_cause_since_the_alarm_began(said: str, stands: bool, since: int) -> None:
    (cause,) = causes_of(situation(said))
    assert (cause.stands, cause.since) == (stands, FIRST + since * WEEK)


def test_when_none_of_the_last_looks_fails_the_cause_is_gone() -> None:
    assert causes_of(situation("dd...")) == ()
    assert causes_of(situation("")) == ()


def test_looks_that_stopped_open_nothing_and_close_nothing() -> None:
    late = situation("dd", at=FIRST + 10 * WEEK)
    assert [cause.stands for cause in causes_of(late)] == [False]
    open_ = PastRetraining("drift", (FIRST + 2 * WEEK,), "open", 7)
    assert plan(situation("dd", at=FIRST + 10 * WEEK, past=(open_,))).do == "keep"


def test_looks_at_another_version_are_no_cause() -> None:
    other = WatchedVersion("m", "production", "20260110T000000Z-11111111", WEEK)
    one = situation("dd")
    assert causes_of(replace(one, watched=(other,))) == ()


AUC = {"value": 0.7, "low": 0.68, "high": 0.72}
COST = {"value": 11.0, "low": 10.8, "high": 11.2}


@pytest.mark.parametrize(
    ("name", "between", "own", "found"),
    [
        ("auc", (0.55, 0.65), AUC, True),
        ("auc", (0.55, 0.69), AUC, False),
        ("auc", (None, None), AUC, False),
        ("cost", (11.5, 12.5), COST, True),
        ("cost", (11.1, 12.5), COST, False),
        ("unknown", (0.1, 0.1), AUC, False),
    ],
)
def test_performance_is_worse_when_the_whole_interval_is(
    name: str, between: tuple[float, float], own: dict[str, float], found: bool
) -> None:
    metric = {"metric": name, "value": between[0], "low": between[0], "high": between[1], "evaluated": own}
    told = {"performance": {"series": [{"measured": [metric], "estimated": []}]}}
    one = situation(
        looks=looks("..", **told),
        at=FIRST + 2 * WEEK,
        causes=("performance",),
        better={"auc": "higher", "cost": "lower"},
    )
    assert bool(causes_of(one)) is found


def test_an_estimate_counts_as_well() -> None:
    metric = {"metric": "auc", "value": 0.6, "low": 0.55, "high": 0.65, "evaluated": 0.7}
    told = {"performance": {"series": [{"measured": [], "estimated": [metric]}]}}
    one = situation(looks=looks("..", **told), at=FIRST + 2 * WEEK, causes=("performance",), better={"auc": "higher"})
    (cause,) = causes_of(one)
    assert "auc estimated 0.6 (0.55 to 0.65), evaluated 0.7" in cause.reason


def test_a_schedule_begins_anew_with_each_period() -> None:
    def at(days: float) -> list[datetime]:
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days)
        return [cause.since for cause in causes_of(situation(at=moment, causes=("schedule",)))]

    assert at(29.9) == []
    assert at(30) == at(59) == [datetime(2026, 1, 31, tzinfo=UTC)]
    assert at(60) == [datetime(2026, 3, 2, tzinfo=UTC)]


@pytest.mark.parametrize(("size", "grown_by", "stands"), [(105, 0.1, False), (110, 0.1, True), (90, 0.0, True)])
def test_new_data_must_have_grown_enough(size: int, grown_by: float, stands: bool) -> None:
    change = DataChange("d.dvc", 100, size, FIRST)
    one = situation(causes=("new_data",), data=(change,), spec={"grown_by": grown_by})
    (cause,) = causes_of(one)
    assert cause.stands is stands


def test_the_most_urgent_cause_that_is_free_is_opened() -> None:
    upstream = UpstreamChange("demand", "production", "old", "new", FIRST)
    causes = ("schedule", "drift", "upstream")
    one = situation(
        "dd", at=FIRST + 5 * WEEK, causes=causes, upstream=(upstream,), rules={"open": ["schedule", "drift"]}
    )
    assert [cause.kind for cause in causes_of(one)] == ["upstream", "drift", "schedule"]
    found = plan(situation("ddddd", causes=causes, upstream=(upstream,), rules={"open": ["schedule", "drift"]}))
    assert (found.do, found.cause and found.cause.kind) == ("open", "drift")
    assert found.causes[0].brakes[0].name == "person"


HOLD = Brake("hold", "production is held", is_final=True)
AT = FIRST + 2 * WEEK


def ended(days: int) -> PastRetraining:
    """One for another cause, so many days ago."""
    return PastRetraining("harm", (AT - timedelta(days),), "ended", days)


@pytest.mark.parametrize(
    ("more", "brake"),
    [
        ({"final": (HOLD,)}, "hold"),
        ({"declined": (Declined("drift", "olga", "no", FIRST, AT + WEEK),)}, "declined"),
        ({"past": (ended(1),)}, "cool-down"),
        ({"past": (PastRetraining("drift", (FIRST + WEEK,), "closed", 1),), "rules": {"cool_down": "1h"}}, "closed"),
        ({"past": tuple(ended(days) for days in (9, 8)), "rules": {"runs": 2}}, "runs"),
        ({"gpu_hours": 9.0, "spec": {"cost": {"gpu_hours": 2.0}}, "rules": {"gpu_hours": 10}}, "gpu-hours"),
        ({"others": 5}, "at-once"),
        ({"changes": False}, "unchanged"),
        ({"past": tuple(replace(ended(60 + n), gained=False) for n in (1, 2, 3))}, "no-gain"),
    ],
)  # fmt: skip
def test_each_brake_holds_up_and_says_so(more: dict[str, Any], brake: str) -> None:
    assert plan(situation("dd")).do == "open"
    found = plan(situation("dd", **more))
    assert (found.do, [one.name for one in found.causes[0].brakes]) == ("nothing", [brake])
    assert found.why.startswith("drift: ")


def test_a_no_counts_for_its_cause_and_time_alone() -> None:
    for no in (Declined("harm", "olga", "no", FIRST, AT + WEEK), Declined("drift", "olga", "no", FIRST, AT)):
        assert plan(situation("dd", declined=(no,))).do == "open"


def test_one_is_open_at_a_time_and_others_wait() -> None:
    open_ = PastRetraining("schedule", (AT - 4 * WEEK,), "open", 7)
    found = plan(situation("dd", causes=("drift", "schedule"), past=(open_,)))
    assert (found.do, found.pull) == ("keep", 7)
    assert plan(situation("dd", past=(PastRetraining("stale", (AT - 4 * WEEK,), "open", 7),))).do == "keep"


def test_what_is_not_known_of_upstreams_opens_nothing_and_closes_nothing() -> None:
    one = situation(causes=("upstream",), unknown=("demand in production: it cannot be read",))
    found = plan(one)
    assert (found.do, found.why) == ("nothing", "upstream: not known: demand in production: it cannot be read")
    open_ = replace(one, past=(PastRetraining("upstream", (AT - 4 * WEEK,), "open", 7),))
    found = plan(open_)
    assert (found.do, found.pull, found.cause) == ("keep", 7, None)
    assert plan(replace(open_, unknown=())).do == "close"


def test_a_person_passes_cool_downs_and_refusals_but_nothing_final() -> None:
    past = (PastRetraining("drift", (AT - timedelta(1),), "closed", 1),)
    cause, forbids = by_hand(situation("dd", past=past, rules={"open": ["harm"]}), "drift")
    assert cause is not None
    assert (cause.kind, forbids) == ("drift", ())
    assert by_hand(situation("dd", past=past))[1] == ()
    assert by_hand(situation("dd", final=(HOLD,)))[1] == (HOLD,)
    assert by_hand(situation("dd"), "harm") == (None, ())


def test_what_is_opened_for_one_model_counts_for_the_others() -> None:
    spec = {"cost": {"gpu_hours": 6.0}}
    one = situation(at=FIRST + 9 * WEEK, causes=("schedule",), rules={"gpu_hours": 10}, spec=spec)
    found: tuple[RetrainPlan, ...] = plan_all([one, replace(one, model="n"), situation("dd", spec=spec)])
    assert [each.do for each in found] == ["open", "nothing", "open"]
    assert "18 GPU hours in 30 days with this one, at most 10" in found[1].why
