"""The rules of a test, where policy.yaml leaves to others what decides."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gitml.errors import UsageError
from gitml.rollout.metrics import METRICS
from gitml.rollout.resolved import EvaluatedMetric, resolved
from gitml.spec import Application, Policy, parse_application, parse_policy
from gitml.spec.canary import CANARY_METRICS, CanaryRules
from gitml.spec.canarytest import decides_elsewhere
from gitml.spec.policycheck import goals_known, kpis_known
from gitml.spec.yamlfile import parse

GITML = """\
application: a
models: {m: {artifact: m.onnx, metrics: m.json, better: {cost: lower, auc: higher, brier: lower}}}
kpis: {sales: {event: order, unit: USD}}
monitors: {models: {m: {harm: {labels_within: 2d}}}}
"""
APP = parse_application(GITML.encode())
COST = GITML.replace(
    "{artifact",
    "{holdout: {rows: r.parquet, label: y, cost: {metric: dollars, false_negative: 60, false_positive: 20}}, artifact",
)
OWN = {"auc": EvaluatedMetric(0.8, 0.78, 0.82)}


def test_the_metric_is_the_first_that_labels_tell_and_its_margin_half_the_interval() -> None:
    rules = resolved(CanaryRules(), APP, "m", OWN)
    assert (rules.metric, rules.labels_within) == ("auc", timedelta(days=2))
    assert rules.margin == pytest.approx(0.02)


def test_without_an_interval_there_is_no_margin_and_so_no_metric() -> None:
    assert resolved(CanaryRules(), APP, "m", {}).metric == ""
    wanted = CanaryRules.model_validate({"metric": {"goal": "better"}})
    assert (resolved(wanted, APP, "m", {}).metric, resolved(wanted, APP, "m", {}).margin) == ("auc", None)


@pytest.mark.parametrize("rules", ["{labels: {within: 40d}}", "{maximum: 5d, labels: {within: 5d}}"])
def test_a_test_that_expires_before_the_first_label_is_refused(rules: str) -> None:
    with pytest.raises(Exception, match="expires before the first label counts"):
        parse_policy(f"environments: {{p: {{canary: {rules}}}}}".encode())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("brier", []),
        ("dollars", []),
        ("dollar", [("dollar cannot be told from labels", "did you mean 'dollars'?")]),
        ("cost", [("cost cannot be told from labels", f"one of {', '.join(CANARY_METRICS)}, dollars; or a kpi")]),
    ],
)
def test_gitml_check_refuses_a_metric_that_labels_do_not_tell(name: str, found: list[tuple[str, str]]) -> None:
    text = f"environments: {{p: {{canary: {{metric: {{name: {name}}}}}}}}}".encode()
    problems = goals_known(parse_policy(text), parse(text, "policy.yaml"), parse_application(COST.encode()))
    assert [(one.message, one.hint) for one in problems] == found


def test_prices_are_part_of_the_digest_where_they_decide() -> None:
    app, dearer = (parse_application(COST.replace("60", price).encode()) for price in ("60", "90"))
    for name, same in (("brier", True), ("dollars", False)):
        wanted = CanaryRules.model_validate({"metric": {"name": name}})
        assert (decides_elsewhere(wanted, app, "m") == decides_elsewhere(wanted, dearer, "m")) is same


def test_a_kpi_is_that_of_gitml_yaml() -> None:
    wanted = CanaryRules.model_validate({"metric": {"kpi": "sales", "goal": "better"}})
    rules = resolved(wanted, APP, "m", OWN)
    assert rules.kpi is not None
    assert (rules.kpi.spec.unit, rules.kpi.margin, rules.time) == ("USD", None, timedelta(days=7))
    with pytest.raises(UsageError, match="there is no KPI profit"):
        resolved(CanaryRules.model_validate({"kpis": {"profit": {"margin": 1.0}}}), APP, "m", OWN)


def test_gitml_check_names_the_line_of_a_kpi_that_is_not_there() -> None:
    text = b"environments:\n  p:\n    canary:\n      kpis: {sale: {margin: 1.0}}\n"
    policy: Policy = parse_policy(text)
    (found,) = kpis_known(policy, parse(text, "policy.yaml"), APP)
    assert (found.line, found.message, found.hint) == (4, "gitml.yaml has no KPI 'sale'", "did you mean 'sales'?")


def test_what_gitml_yaml_decides_is_part_of_the_digest() -> None:
    wanted = CanaryRules.model_validate({"kpis": {"sales": {"margin": 1.0}}})

    def of(text: str) -> list[object]:
        app: Application = parse_application(text.encode())
        return decides_elsewhere(wanted, app, "m")

    assert of(GITML) == of(GITML.replace("unit: USD", "unit: USD, description: what they spend"))
    assert of(GITML) != of(GITML.replace("event: order", "event: refund"))
    assert of(GITML) != of(GITML.replace("labels_within: 2d", "labels_within: 3d"))
    assert of(GITML) != of(GITML.replace("auc: higher", "mae: lower"))


@pytest.mark.parametrize(
    ("kpi", "words"),
    [
        ("{event: e, table: t.csv}", "a KPI is made of one thing"),
        ("{}", "a KPI is made of one thing"),
        ("{table: t.txt}", "t.txt is no table"),
        ("{event: e, value: mean}", "must be 'sum', 'count' or 'any'"),
    ],
)
def test_a_kpi_that_is_none_is_refused_with_its_line(kpi: str, words: str) -> None:
    with pytest.raises(Exception, match=r"gitml\.yaml:3: kpis\.k") as found:
        parse_application(GITML.replace("{sales: {event: order, unit: USD}}", f"{{k: {kpi}}}").encode())
    assert words in str(found.value)


def test_the_names_that_policies_may_give_are_those_that_are_judged() -> None:
    assert set(CANARY_METRICS) == set(METRICS)
