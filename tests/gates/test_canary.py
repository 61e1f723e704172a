"""Gate `canary`: what an evaluation of a candidate opens, and all that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from gitml.gates import canary
from gitml.gates.canary import CanaryAsked
from gitml.gates.facts import Facts, JudgedBeside, Unknown
from gitml.policy.decision import decide
from gitml.spec.policy import parse_policy
from gitml.verdict import Phase
from policy.kit import NEW, NEW_FILE, OLD, OLD_FILE, RULES, beside, case, facts

ASKED = CanaryAsked()


def seen(*found: JudgedBeside, **changes: Any) -> Facts:
    return facts(**{"judged_beside": found, "test_rules": RULES, "was": "canary", **changes})


def phase(*found: JudgedBeside, **changes: Any) -> Phase:
    return canary.judge(seen(*found, **changes), ASKED).phase


def test_a_pass_of_exactly_this_pair_under_these_rules_opens_it() -> None:
    found = canary.judge(seen(beside()), ASKED)
    assert (found.phase, found.reason) == (Phase.SUCCESSFUL, "split, 1 hour ago: accuracy is not worse")
    assert found.measurements["look"] == "canary-1"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (beside(49), "its newest evaluation is 2 days old"),
        (beside(-1), "no signed evaluation"),
        (beside(repository="elsewhere/app"), "no signed evaluation"),
        (beside(model="other"), "no signed evaluation"),
        (beside(environment="staging"), "no signed evaluation"),
        (beside(candidate=(NEW, OLD_FILE)), "no signed evaluation"),
        (beside(champion=(NEW, NEW_FILE)), "no signed evaluation"),
        (beside(champion=(OLD, NEW_FILE)), "no signed evaluation"),
        (beside(rules="d" * 64), "a new test has begun"),
        (beside(mode="replay"), "replay alone"),
        (beside(phase=Phase.INCONCLUSIVE), "split, 1 hour ago"),
        (beside(phase=Phase.ERROR), "split, 1 hour ago"),
    ],
)
def test_what_is_missing_old_or_of_something_else_is_inconclusive(one: JudgedBeside, words: str) -> None:
    found = canary.judge(seen(one), ASKED)
    assert found.phase is Phase.INCONCLUSIVE
    assert words in found.reason
    assert phase() is Phase.INCONCLUSIVE


def test_the_newest_decides_but_a_failure_stays_under_any_rules() -> None:
    assert phase(beside(2), beside(1, "inconclusive")) is Phase.INCONCLUSIVE
    assert phase(beside(2, "inconclusive"), beside(1)) is Phase.SUCCESSFUL
    failed = beside(900, "failed", rules="d" * 64)
    assert phase(failed, beside(1)) is Phase.FAILED
    assert phase(failed, beside(1), part="canary") is Phase.FAILED
    assert phase(beside(900, "failed", champion=("20260101T000000Z-00000000", OLD_FILE)), beside(1)) is Phase.SUCCESSFUL


def test_the_same_file_trained_again_stays_failed_and_passes_for_nobody_else() -> None:
    again = ("20260101T000000Z-00000000", NEW_FILE)
    assert phase(beside(900, "failed", candidate=again), beside(1)) is Phase.FAILED
    assert phase(beside(1, candidate=again)) is Phase.INCONCLUSIVE


def test_a_clock_that_is_behind_hides_no_failure() -> None:
    assert phase(beside(-1, "failed"), part="canary") is Phase.FAILED
    assert phase(beside(-1)) is Phase.INCONCLUSIVE


def test_who_is_asked() -> None:
    gently = canary.BY_DEFAULT
    assert canary.judge(seen(), gently).phase is Phase.INCONCLUSIVE
    assert canary.judge(seen(was="shadow"), gently).phase is Phase.INCONCLUSIVE
    assert canary.judge(seen(was=None), gently).phase is Phase.SUCCESSFUL
    assert canary.judge(seen(beside(9, "failed"), was=None), gently).phase is Phase.FAILED
    assert phase(was=None) is Phase.INCONCLUSIVE
    assert phase(part="shadow") is phase(part="canary") is phase(champion=None) is Phase.SUCCESSFUL


@pytest.mark.parametrize("lost", ["judged_beside", "test_rules", "champion"])
def test_what_cannot_be_found_out_opens_nothing(lost: str) -> None:
    found = canary.judge(seen(beside(), **{lost: Unknown("the branch cannot be read")}), ASKED)
    assert (found.phase, found.reason) == (Phase.INCONCLUSIVE, "the branch cannot be read")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("{canary: {}}", True),
        ("{}", False),
        ("{canary: {}, gates: {canary: false}}", False),
        ("{gates: {canary: 12h}, canary: {}}", True),
        ("{canary: {}, models: {delay: {gates: {canary: false}}}}", False),
    ],
)
def test_rules_for_candidates_ask_for_it_by_default(text: str, asked: bool) -> None:
    policy = parse_policy(f"environments: {{staging: {{}}, production: {text}}}\n".encode())
    found = decide(policy, case(candidates=(("champion", NEW, seen()),)))
    assert ("canary" in found.verdicts) is asked
