"""Gates `quality`, `drift`, `harm`: what the newest look of a monitor opens, and all that it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gitml.errors import SpecError
from gitml.gates import drift, harm, quality
from gitml.gates.facts import Facts, MonitorLook, Unknown
from gitml.gates.lookasked import LookAsked
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, parse_policy
from gitml.spec.policycheck import gates_can_pass
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse
from gitml.verdict import Phase, Verdict
from policy.kit import NOW, OLD, facts, look

GATES = {"quality": quality, "drift": drift, "harm": harm}
WITHIN = LookAsked(within=timedelta(days=2))
FINE = look().verdicts


def seen(*looks: MonitorLook, **changes: Any) -> Facts:
    return facts(looks=looks, **changes)


def bad(part: str, phase: Phase = Phase.FAILED) -> dict[str, Verdict]:
    return {**FINE} | {part: Verdict(phase, "because of this")}


@pytest.mark.parametrize("part", GATES)
def test_a_young_look_at_this_version_where_it_was_before_decides(part: str) -> None:
    gate = GATES[part]
    found = gate.judge(seen(look()), WITHIN)
    assert (found.phase, found.reason) == (Phase.SUCCESSFUL, f"in staging, 1 hour ago: {part} is fine")
    assert found.measurements["look"] == "look-1"
    assert gate.judge(seen(look(verdicts=bad(part))), WITHIN).phase is Phase.FAILED
    assert gate.judge(seen(look(verdicts=bad(part, Phase.INCONCLUSIVE))), WITHIN).phase is Phase.INCONCLUSIVE
    assert gate.judge(seen(look(verdicts=bad(part, Phase.ERROR))), WITHIN).phase is Phase.INCONCLUSIVE
    others = {p for p in GATES if p != part}
    assert all(GATES[p].judge(seen(look(verdicts=bad(part))), WITHIN).phase is Phase.SUCCESSFUL for p in others)


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ((), "no signed look at delay in staging"),
        ((look(49),), "2 days old, at most 2 days are allowed"),
        ((look(environment="production"),), "no signed look at delay in staging"),
        ((look(model="other"),), "no signed look at delay in staging"),
        ((look(repository="elsewhere/app"),), "no signed look at delay in staging"),
        ((look(-1),), "no signed look at delay in staging"),
        ((look(version=OLD),), "is at another version"),
        ((look(artifact="0" * 64),), "is at another version"),
        ((look(2), look(1, version=OLD)), "is at another version"),
        ((look(verdicts={"quality": FINE["quality"]}),), "drift is not watched in staging"),
    ],
)
def test_what_is_missing_too_old_or_of_another_version_is_inconclusive(
    looks: tuple[MonitorLook, ...], words: str
) -> None:
    found = drift.judge(seen(*looks), WITHIN)
    assert found.phase is Phase.INCONCLUSIVE
    assert words in found.reason


def test_looks_that_cannot_be_read_are_inconclusive_and_so_is_the_first_environment() -> None:
    found = drift.judge(facts(looks=Unknown("the looks cannot be read: torn")), WITHIN)
    assert (found.phase, found.reason) == (Phase.INCONCLUSIVE, "the looks cannot be read: torn")
    assert drift.judge(facts(looks=Unknown("nobody read them")), WITHIN).phase is Phase.INCONCLUSIVE
    first = drift.judge(seen(look(), environment="staging"), WITHIN)
    assert (first.phase, "no environment before staging" in first.reason) == (Phase.INCONCLUSIVE, True)


def test_the_newest_window_decides_and_not_the_one_that_was_signed_last() -> None:
    broken = look(1, verdicts=bad("drift"))
    older = look(25, time=NOW)
    assert drift.judge(seen(broken, older), WITHIN).phase is Phase.FAILED
    assert drift.judge(seen(older, broken), WITHIN).phase is Phase.FAILED


def test_another_environment_may_be_named() -> None:
    asked = LookAsked(within=timedelta(days=2), **{"in": "canaries"})
    assert drift.judge(seen(look()), asked).phase is Phase.INCONCLUSIVE
    assert drift.judge(seen(look(environment="canaries")), asked).phase is Phase.SUCCESSFUL


POLICY_TEXT = "environments:\n  staging: {STAGING}\n  production:\n    gates: {PRODUCTION}\n"
GITML = "application: app\nmodels: {delay: {artifact: m.skops, metrics: m.json}}\nmonitors: MONITORS\n"


def problems(production: str, staging: str = "", monitors: str = "{}") -> list[tuple[str, str]]:
    raw = POLICY_TEXT.replace("STAGING", staging).replace("PRODUCTION", production).encode()
    app = build(Application, parse(GITML.replace("MONITORS", monitors).encode(), "gitml.yaml"))
    return [(p.key, p.message) for p in gates_can_pass(parse_policy(raw), parse(raw, POLICY), app, {})]


def test_a_gate_that_can_never_open_is_a_problem_beforehand() -> None:
    assert problems("quality: 2d, drift: {within: 8d}, harm: {within: 14d, in: staging}") == []
    assert problems("quality: 2d", staging="gates: {quality: 2d}") == [
        ("environments.staging.gates.quality", "there is no environment before staging")
    ]
    named = problems("quality: {within: 2d, in: stagin}")
    assert named == [("environments.production.gates.quality", "there is no environment 'stagin'")]
    off = problems("harm: 2d", monitors="{models: {delay: {watch: [quality, drift]}}}")
    assert off == [("environments.production.gates.harm", "harm of 'delay' is not watched in staging")]
    elsewhere = problems("harm: 2d", monitors="{models: {delay: {environments: [production]}}}")
    assert elsewhere == off
    long = problems("harm: 2d", monitors="{models: {delay: {window: 1w}}}")
    assert "longer than that" in long[0][1]


CANARIES = "environments:\n  production:\n    canary: RULES\n    gates: {canary: true}\n"


@pytest.mark.parametrize(
    ("better", "rules", "words"),
    [
        ("mae: lower, r2: higher", "{}", ""),
        ("r2: higher, mae: lower", "{}", ""),
        ("ndcg@10: higher", "{}", "labels tell no metric under `better`"),
        ("ndcg@10: higher", "{metric: {name: accuracy, margin: 0.1}}", ""),
        ("ndcg@10: higher", "{metric: {kpi: sales, margin: 0.1}}", ""),
    ],
)
def test_a_canary_whose_metric_no_label_tells_is_a_problem_beforehand(better: str, rules: str, words: str) -> None:
    raw = CANARIES.replace("RULES", rules).encode()
    text = f"application: app\nmodels: {{delay: {{artifact: m.skops, metrics: m.json, better: {{{better}}}}}}}\n"
    app = build(Application, parse(text.encode(), "gitml.yaml"))
    found = gates_can_pass(parse_policy(raw), parse(raw, POLICY), app, {})
    assert [words in p.message for p in found] == [True] * bool(words)
    assert all("mae" in p.hint for p in found)


@pytest.mark.parametrize("value", ["0d", "yes", "{in: staging}", "{within: 2d, at: staging}"])
def test_what_is_no_age_is_refused(value: str) -> None:
    with pytest.raises(SpecError):
        parse_policy(POLICY_TEXT.replace("STAGING", "").replace("PRODUCTION", f"drift: {value}").encode())
