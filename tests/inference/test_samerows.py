"""The owner's cost of both versions, each at its own threshold, on rows that are clustered; and whether held-out rows
are like live traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from gitml.inference.heldrows import HeldRows
from gitml.inference.likeness import like_traffic
from gitml.inference.samerows import AnsweredRows, MetricRules, metric_rows
from gitml.models.signature import parse as parse_signature
from gitml.monitoring.drift.scan import Floors
from gitml.reports.holdoutfacts import LikeTraffic
from gitml.spec.holdout import DecisionCost
from gitml.stats.comparison import Reading

COST = DecisionCost(metric="cost", false_negative=60.0, false_positive=20.0)
BETTER = {"auc": "higher", "cost": "lower"}


def test_each_version_pays_for_its_decisions_at_its_own_threshold() -> None:
    truth = np.tile([1.0, 0.0, 0.0, 0.0], 20)
    old, new = np.tile([0.30, 0.28, 0.1, 0.1], 20), np.tile([0.45, 0.42, 0.2, 0.2], 20)
    rows = AnsweredRows(np.repeat(np.arange(20), 4), truth, old, new)
    auc, cost = metric_rows(rows, MetricRules(BETTER, {}, (0.29, 0.5), COST))
    assert (cost.metric, cost.old, cost.new, cost.value) == ("cost", 0.0, 15.0, 15.0), "a late flight in four is missed"
    assert (cost.low, cost.reading, auc.reading) == (15.0, Reading.WORSE, Reading.NOISE), "both rank alike"
    _, same = metric_rows(rows, MetricRules(BETTER, {}, (0.25, 0.4), COST))
    assert same.value == 0.0
    assert metric_rows(rows, MetricRules(BETTER, {}))[-1].metric == "auc", "nothing is made up without prices"


def test_rows_of_a_day_are_one_observation() -> None:
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(15), 200)
    truth = (rng.random(len(unit)) < np.repeat(rng.beta(1, 3, 15), 200)).astype(float)
    old, new = np.full(len(unit), 0.2), np.full(len(unit), 0.4)
    rules = MetricRules(BETTER, {}, (0.3, 0.3), COST)
    (by_day,), (by_row,) = (
        [r for r in metric_rows(AnsweredRows(u, truth, old, new), rules) if r.metric == "cost"]
        for u in (unit, np.arange(len(unit)))
    )
    wide, narrow = (r.high - r.low for r in (by_day, by_row) if r.high is not None and r.low is not None)
    assert wide > 4 * narrow


SIGNATURE = parse_signature(
    {
        "inputs": [{"name": "minute", "type": "float64"}, {"name": "carrier", "type": "string"}],
        "outputs": [{"name": "p", "type": "float64"}],
    }
)


def held(rng: np.random.Generator, days: int, *, scale: float = 1.0) -> HeldRows:
    n = days * 300
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    times = [begin + timedelta(days=k // 300, minutes=k % 300) for k in range(n)]
    table = pa.table(
        {
            "minute": rng.uniform(300, 1400, n) * scale,
            "carrier": rng.choice(["AA", "B6", "UA"], n),
            "when": pa.array(times, pa.timestamp("us", tz="UTC")),
        }
    )
    answered = AnsweredRows(np.arange(n), np.zeros(n), np.zeros(n), np.zeros(n))
    return HeldRows(table, answered, "day", table["when"].combine_chunks())


def likeness(hold_out: HeldRows, recent: HeldRows, private: tuple[str, ...] = ()) -> LikeTraffic:
    return like_traffic(SIGNATURE, (hold_out, "when"), (recent, "when"), Floors(), private)


def test_a_hold_out_in_other_units_than_requests_is_told() -> None:
    rng = np.random.default_rng(1)
    recent = held(rng, 40)
    quiet = likeness(held(rng, 20), recent)
    assert (quiet.apart, quiet.why, quiet.columns) == ((), "", 2)
    assert (quiet.first, quiet.last, quiet.rows) == ("2026-03-13", "2026-04-09", 28 * 300)
    broken = likeness(held(rng, 20, scale=1 / 60), recent)
    (one,) = broken.apart
    assert (one.column, one.of) == ("minute", "values")
    assert one.low > 0.9
    hidden = likeness(held(rng, 20, scale=1 / 60), recent, ("minute",))
    assert (hidden.apart, hidden.columns) == ((), 1)
    assert "private" in likeness(held(rng, 2), recent, ("*",)).why


def test_a_handful_of_rows_tells_nothing() -> None:
    rng = np.random.default_rng(2)
    few = held(rng, 1)
    assert "too few rows" in likeness(HeldRows(few.table.slice(0, 9), few.answered, "day", None), held(rng, 20)).why


def test_a_cost_has_one_direction_and_a_price() -> None:
    with pytest.raises(ValueError, match="costs anything"):
        DecisionCost(false_negative=0.0, false_positive=0.0)
    with pytest.raises(ValueError, match="greater than or equal"):
        DecisionCost(false_negative=-1.0, false_positive=0.0)
