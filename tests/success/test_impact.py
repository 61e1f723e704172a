"""What is said of a KPI after a change: when something is, when nothing is, and what it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from gitml.spec.kpis import Costs
from gitml.success.correlation import correlation_of_differences
from gitml.success.impact import ImpactQuestion, impact
from gitml.success.interrupted import interrupted_ar1
from gitml.success.returns import Effort, return_on
from gitml.success.structural import structural_level
from gitml.verdict import Phase
from success.impact_kit import BEFORE, CHANGED, Floats, change, kpi, noise, series, simulated

pytest.importorskip("statsmodels")


def test_a_clear_change_is_told_with_its_money_and_rank() -> None:
    asked = replace(simulated("iid", 4.0, 1), worth=2.0, currency="USD")
    found = impact(asked)
    assert found.phase is Phase.SUCCESSFUL, found.reason
    assert "an association, not a cause" in found.reason
    assert found.low is not None
    assert found.high is not None
    assert found.low < 4.0 < found.high
    assert found.a_month is not None
    assert found.a_month[0] == pytest.approx(2.0 * 30.4 * (found.effect or 0.0))
    assert found.a_month[1] < found.a_month[0] < found.a_month[2]
    assert found.placebo is not None
    assert found.placebo.rank == 1
    assert len(found.methods) == 2


def test_more_of_what_should_be_less_is_worse() -> None:
    asked = simulated("iid", 4.0, 1)
    worse = replace(asked, series=replace(asked.series, kpi=kpi(better="lower")), worth=1.0, currency="USD")
    found = impact(worse)
    assert found.phase is Phase.FAILED
    assert found.a_month is not None
    assert found.a_month[0] < 0, "it costs"


def test_nothing_is_no_clear_change() -> None:
    """One of each hard kind; the shares of all are simulated at night."""
    assert [impact(simulated(kind, 0.0, 0, 14)).is_clear for kind in ("AR.8", "random walk")] == [False, False]


def test_weekdays_and_controls_are_no_effect() -> None:
    days = BEFORE + 29
    week = np.tile([0, 0, 0, 0, 0, 30.0, 40.0], days)[:days]
    visits = 50 + 10 * noise("random walk", days, 3)
    visits[BEFORE + 1 :] += 20
    values = 100 + week + visits + noise("iid", days, 4) / 10
    alone = ImpactQuestion(series(values), change(), 28)
    beside = replace(alone, controls=[series(visits, name="visits")])
    assert not impact(beside).is_clear
    found = impact(replace(beside, series=series(values + 3.0 * (np.arange(days) > BEFORE))))
    assert found.phase is Phase.SUCCESSFUL
    assert found.effect == pytest.approx(3.0, abs=0.3)
    gone = series([*visits[:-3], None, None, None], name="visits")
    assert "without the controls visits" in " ".join(impact(replace(alone, controls=[gone])).notes)


def test_controls_that_say_nothing_more_are_left_out() -> None:
    asked = simulated("iid", 4.0, 1)
    visits = noise("iid", BEFORE + 29, 9)
    given = {"visits": visits, "twice": 2 * visits, "weekend": (np.arange(BEFORE + 29) % 7 == 5) * 1.0}
    found = impact(replace(asked, controls=[series(values, name=name) for name, values in given.items()]))
    assert found.phase is Phase.SUCCESSFUL
    assert "without the controls twice, weekend" in " ".join(found.notes)


@pytest.mark.parametrize(
    "values", [np.arange(99) * 1.0, (np.arange(99) == 80) * 1.0, np.full(99, 1e99) * np.linspace(1, 2, 99)]
)
def test_odd_series_give_numbers(values: Floats) -> None:
    found = impact(ImpactQuestion(series(values), change(), 28))
    assert found.low is not None
    assert found.high is not None
    assert np.isfinite([found.low, found.high]).all()


def test_changes_at_the_same_time_cannot_be_told_apart() -> None:
    other = change(CHANGED + timedelta(days=5), "price", "c2")
    found = impact(replace(simulated("iid", 9.0, 1), others=[change(), other]))
    assert found.phase is Phase.INCONCLUSIVE
    assert found.beside == (other,)
    assert found.reason.startswith("not identifiable: promotion of price@3f2a90bc on 2026-03-21")
    long_ago = replace(other, moment=other.moment - timedelta(days=40))
    assert impact(replace(simulated("iid", 9.0, 1), others=[long_ago])).phase is Phase.SUCCESSFUL
    before = replace(other, moment=other.moment - timedelta(days=20))
    found = impact(replace(simulated("iid", 9.0, 1), others=[before]))
    assert "14 days before the change are known since the change before it on 2026-03-01" in found.reason


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no day of the KPI is known"),
        ([None] * 90, "no day of the KPI is known"),
        ([1.0, 2.0], "2 days before the change are known, and it takes 28"),
        ([1.0] * 90, "the KPI is the same on every day"),
        ([*np.arange(72.0), *[None] * 30], "of the 14 days after the change are known, and it takes 10"),
    ],
)
def test_what_cannot_be_told_says_why(values: list[float | None], said: str) -> None:
    found = impact(ImpactQuestion(series(values), change(), 14))
    assert found.phase is Phase.INCONCLUSIVE
    assert said in found.reason


def test_a_kpi_that_cannot_be_read_says_so() -> None:
    broken = replace(series([]), problem="the warehouse does not answer")
    assert "the warehouse does not answer" in impact(ImpactQuestion(broken, change(), 7)).reason


def test_gaps_are_no_zeros() -> None:
    asked = simulated("AR.5", 5.0, 2)
    values = np.array([day.value for day in asked.series.days], dtype=float)
    values[[3, 9, 40, 41, BEFORE + 4]] = np.nan
    found = impact(replace(asked, series=series(values)))
    assert found.phase is Phase.SUCCESSFUL
    assert found.low is not None
    assert found.high is not None
    assert found.low < 5.0 < found.high


def test_a_year_of_days_shows_the_season() -> None:
    days = 500 + 29
    turn = 2 * np.pi * np.arange(days) / 365.25
    values = 100 + 20 * np.sin(turn) + noise("iid", days, 5)
    found = impact(ImpactQuestion(series(values), change(CHANGED + timedelta(days=430)), 28))
    assert not found.is_clear
    assert not found.notes


def test_a_mean_is_no_money() -> None:
    asked = simulated("iid", 4.0, 1)
    found = impact(replace(asked, series=replace(asked.series, kpi=kpi(daily="mean")), worth=1.0, currency="USD"))
    assert found.is_clear
    assert found.a_month is None


def test_the_interrupted_series_is_generalised_least_squares() -> None:
    """With errors that are independent both come to the same, as rho is near 0."""
    rng = np.random.default_rng(3)
    day = np.arange(300.0)
    step = (day >= 200) * 1.0
    y = 2 + 0.01 * day + 0.5 * step + rng.normal(size=300)
    x = np.column_stack([np.ones(300), day])
    design = np.column_stack([step, x])
    beta, rest, *_ = np.linalg.lstsq(design, y, rcond=None)
    error = np.sqrt(np.linalg.inv(design.T @ design)[0, 0] * rest[0] / 297)
    found = interrupted_ar1(day, y, x, step)
    assert found.effect == pytest.approx(beta[0], abs=error / 3)
    assert (found.high - found.low) == pytest.approx(2 * 1.968 * error, rel=0.15)


def test_the_structural_level_widens_with_the_days_that_it_tells() -> None:
    y = noise("random walk", 100, 1)
    nothing = np.zeros((100, 0))
    widths = [(found := structural_level(y[: 70 + n], nothing[: 70 + n], 70)).high - found.low for n in (2, 10, 30)]
    assert widths[0] < widths[1] < widths[2]


def test_series_that_only_drift_together_do_not_correlate() -> None:
    rng = np.random.default_rng(1)
    left, right = (np.cumsum(rng.normal(size=40)) for _ in range(2))
    found = correlation_of_differences(list(left), list(right))
    assert found.p_value is not None
    assert found.p_value > 0.05
    together = correlation_of_differences(list(left), list(left + rng.normal(size=40) / 10))
    assert together.p_value is not None
    assert together.p_value < 0.05
    assert correlation_of_differences([1, 2], [1, None]).reason == "0 differences are known, and it takes 8"
    assert correlation_of_differences([1.0] * 12, list(range(12))).reason == "one of the two does not change"


def test_what_a_change_took_and_when_it_has_paid() -> None:
    costs = Costs.model_validate(
        {"runner_minute": {"cpu": 0.5}, "serving_month": {"delay": 40.0}, "review_hour": 80.0, "review": "30m"}
    )
    found = return_on(costs, Effort({"cpu": 60.0}, 2, "delay"), [(150.0, 100.0, 200.0)])
    assert (found.once, found.monthly, found.gain, found.unknown) == (110.0, 40.0, (150.0, 100.0, 200.0), ())
    assert found.pays_back == pytest.approx(1.0)
    poor = return_on(Costs(), Effort(None, 1, "delay"), [])
    assert (poor.gain, poor.pays_back, len(poor.unknown)) == (None, None, 3)
