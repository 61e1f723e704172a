from __future__ import annotations

import pytest

from gitml.errors import SpecError
from gitml.spec import parse_application
from gitml.spec.canary import CanaryRules
from gitml.spec.canarytest import decides_elsewhere
from gitml.spec.kpis import Kpi

SPEC = "application: shop\nmodels: {prices: {artifact: model.onnx, metrics: metrics.json}}\nkpis:\n  paid: "


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("{}", "is made of one thing", "write one of event, table, sql"),
        ("{event: paid, table: a.csv}", "is made of one thing", ""),
        ("{table: a.txt}", "a.txt is no table", ".parquet or .csv"),
        ("{sql: {query: SELECT 1}}", "reads files or a warehouse", "write tables or warehouse"),
        ("{sql: {query: SELECT 1, warehouse: wh}}", "is no name of a secret", ""),
        ("{sql: {query: SELECT 1, tables: {a: ../a.csv}}}", "leads out of the folder", ""),
        ("{prometheus: {query: up, server: PROM, step: 7m}}", "does not divide every day", "use 1m"),
        ("{event: paid, zone: Mars/Olympus}", "is not a time zone", "such as Europe/Berlin"),
        ("{event: paid, value: any, daily: mean}", "only values have a mean", ""),
        ("{event: paid, value: any, daily: per-unit}", "always 1", "daily: total"),
    ],
)
def test_mistakes_are_told_with_what_to_write(text: str, words: str, hint: str) -> None:
    with pytest.raises(SpecError) as found:
        parse_application(f"{SPEC}{text}\n".encode())
    (problem,) = found.value.problems
    assert problem.line == 4
    assert words in problem.message
    assert hint in problem.hint


def test_what_is_said_of_days_begins_no_new_test_of_a_candidate() -> None:
    rules = CanaryRules.model_validate({"metric": {"kpi": "paid"}})
    text = "{event: paid, unit: USD, mature: 2d, zone: Europe/Berlin, worth: 2.0, empty: zero, models: [prices]}"
    plain, daily = (parse_application(f"{SPEC}{one}\n".encode()) for one in ("{event: paid, unit: USD}", text))
    assert decides_elsewhere(rules, plain, "prices") == decides_elsewhere(rules, daily, "prices")
    assert set(Kpi(event="paid").by_unit) == {"event", "table", "value", "better", "unit", "within"}
