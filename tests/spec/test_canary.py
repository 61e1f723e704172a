from __future__ import annotations

from datetime import timedelta

import pytest

from gitml.errors import Problem, SpecError
from gitml.spec.policy import parse_policy

ROLES = "roles: {operations: {people: [olga]}}\n"


def problems(canary: str) -> list[Problem]:
    with pytest.raises(SpecError) as found:
        parse_policy(f"environments:\n  prod:\n    canary:\n{canary}{ROLES}".encode())
    return list(found.value.problems)


def test_empty_rules_are_useful() -> None:
    rules = parse_policy(b"environments: {prod: {canary: {}}}\n").environments["prod"].canary_of("delay")
    assert rules is not None
    assert (rules.steps, rules.error_rate, rules.minimum.units) == ((10, 50), 0.05, 200)
    assert [rules.step_after(weight) for weight in (5, 10, 50, 60)] == [10, 50, "champion", "champion"]


def test_without_rules_nothing_is_asked() -> None:
    assert parse_policy(b"environments: {prod: {}}\n").environments["prod"].canary_of("delay") is None


def test_a_model_has_rules_of_its_own() -> None:
    text = b"environments: {prod: {canary: {}, models: {mlp: {canary: {steps: [1.5]}}}}}\n"
    place = parse_policy(text).environments["prod"]
    assert [rules.steps for name in ("mlp", "delay") if (rules := place.canary_of(name))] == [(1.5,), (10, 50)]
    assert place.gates_of("mlp") == place.gates


@pytest.mark.parametrize(
    ("line", "words", "hint"),
    [
        ("metric: {margn: 1.0}", "unknown key 'margn'", "did you mean 'margin'?"),
        ("metric: {margin: 0.1, goal: better}", "must be better has no margin", "keep margin or goal"),
        ("metric: {name: auc, kpi: sales}", "there is one primary metric", "keep name or kpi"),
        ("steps: [50, 10]", "the steps do not rise", "write them in order"),
        ("steps: [100]", "must be less than 100", ""),
        ("modes: [replay]", "must be 'shadow' or 'split', but is 'replay'", ""),
        ("every: 1s", "between 5m and 7d", "such as 1h"),
        ("error_rate: 0.0", "must be more than 0", ""),
        ("maximum: 1d", "expires before anything can pass", "make maximum longer"),
        ("approvals: {raise: {risk: 1}}", "there is no role 'risk'", "valid here: operations"),
        ("approvals: {raise: {operations: 2}}", "needs 2 people of the role 'operations', which has 1", ""),
    ],
)
def test_mistakes_are_named_with_their_line(line: str, words: str, hint: str) -> None:
    (found,) = problems(f"      {line}\n")
    assert found.line in (3, 4)
    assert words in found.message
    assert hint in found.hint


def test_a_kpi_is_judged_on_a_full_week() -> None:
    text = b"environments: {prod: {canary: {metric: {kpi: sales, goal: better}, minimum: {time: 2d}}}}\n"
    rules = parse_policy(text).environments["prod"].canary
    assert rules is not None
    assert rules.least_time == timedelta(days=7)
