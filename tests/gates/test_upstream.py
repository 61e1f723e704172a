"""Gate `upstream`: what opens it, and all that does not."""

from __future__ import annotations

from typing import Any

import pytest

from gitml.errors import SpecError
from gitml.gates import upstream as gate
from gitml.gates.facts import Unknown
from gitml.gates.upstream import UpstreamAsked
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, parse_policy
from gitml.spec.policycheck import gates_can_pass
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse
from gitml.verdict import Phase, Verdict
from policy.kit import OTHER, USED, facts, upstream

REQUIRED, RUNNING = UpstreamAsked(), UpstreamAsked(version="running")


def judged(wanted: UpstreamAsked = REQUIRED, **changes: Any) -> Verdict:
    return gate.judge(facts(upstreams=(upstream(**changes),)), wanted)


def test_it_opens_while_the_upstream_runs_in_the_version_that_was_used() -> None:
    found = judged()
    assert found.phase is Phase.SUCCESSFUL
    assert found.reason == f"{USED[0]} of demand, which it was made with, runs in production"
    assert found.measurements == {"demand": USED[0]}
    assert judged(used=(OTHER, USED)).phase is Phase.SUCCESSFUL
    assert gate.judge(facts(upstreams=()), REQUIRED).phase is Phase.SUCCESSFUL


def test_another_version_fails_it_unless_it_is_accepted_or_any_will_do() -> None:
    found = judged(running=OTHER)
    assert found.phase is Phase.FAILED
    assert found.reason == (
        f"{OTHER[0]} of demand runs in production, and it was made with {USED[0]} (its stages read demand.skops)"
    )
    assert judged(UpstreamAsked(accept={"demand": (OTHER[0],)}), running=OTHER).phase is Phase.SUCCESSFUL
    assert judged(UpstreamAsked(accept={"weather": (OTHER[0],)}), running=OTHER).phase is Phase.FAILED
    assert judged(RUNNING, running=OTHER).phase is Phase.SUCCESSFUL
    assert judged(RUNNING, running=OTHER, used=Unknown("lost")).phase is Phase.SUCCESSFUL


def test_the_same_name_with_other_bytes_is_another_version() -> None:
    assert judged(running=(USED[0], "9" * 64)).phase is Phase.FAILED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"running": Unknown("nothing is deployed there")}, "demand in production: nothing is deployed there"),
        ({"used": Unknown("its stages read x, in bytes of no version")}, "is not known: its stages read x"),
        ({"promotions": (7, 9)}, "#7, #9 would change demand in production, and comes first"),
        ({"promotions": Unknown("the forge is away")}, "the forge is away"),
    ],
)
def test_what_is_not_known_or_about_to_change_is_inconclusive(changes: dict[str, Any], words: str) -> None:
    found = judged(**changes)
    assert (found.phase, words in found.reason) == (Phase.INCONCLUSIVE, True), found


def test_nobody_having_looked_passes_nothing() -> None:
    assert gate.judge(facts(upstreams=Unknown("gitml.yaml cannot be read")), RUNNING).phase is Phase.INCONCLUSIVE


def test_one_bad_upstream_of_two_decides() -> None:
    two = (upstream(), upstream(name="weather", model="https://x/acme/w:weather", running=OTHER))
    found = gate.judge(facts(upstreams=two), REQUIRED)
    assert (found.phase, "weather" in found.reason, "demand," in found.reason) == (Phase.FAILED, True, False)


def test_its_forms_in_policy_yaml_and_a_version_that_is_none() -> None:
    def policy(value: str) -> Any:
        text = f"environments:\n  production:\n    gates:\n      upstream: {value}\n"
        return parse_policy(text.encode()).environments["production"].gates.wanted["upstream"]

    assert policy("required") == REQUIRED
    assert policy("running") == RUNNING
    assert policy(f"{{accept: {{demand: [{OTHER[0]}]}}}}") == UpstreamAsked(accept={"demand": (OTHER[0],)})
    with pytest.raises(SpecError, match="'eeeeeeee' is not a version") as raised:
        policy("{accept: {demand: [eeeeeeee]}}")
    assert raised.value.problems[0].line == 4
    with pytest.raises(SpecError, match="must be 'required' or 'running'"):
        policy("always")


def test_accepting_an_upstream_that_no_model_needs_is_told_once_with_its_line() -> None:
    app = build(
        Application,
        parse(
            b"application: shop\nmodels:\n"
            b"  demand: {artifact: d.skops, metrics: d.json}\n"
            b"  pricing: {artifact: p.skops, metrics: p.json, needs: {demand: answers}}\n",
            "gitml.yaml",
        ),
    )
    raw = (
        f"environments:\n  production:\n    gates:\n      upstream:\n        accept: {{deman: [{OTHER[0]}]}}\n".encode()
    )
    (problem,) = gates_can_pass(parse_policy(raw), parse(raw, POLICY), app, {})
    assert (problem.line, problem.message) == (5, "no model of gitml.yaml needs 'deman'")
    assert problem.hint == "did you mean 'demand'?"
