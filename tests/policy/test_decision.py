from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from gitml.errors import UsageError
from gitml.evidence.trust import Believed
from gitml.gates.facts import Departure, Facts, Unknown
from gitml.gates.table import GATES
from gitml.policy.change import Move
from gitml.policy.decision import Decision, decide
from gitml.policy.facts import Case
from gitml.registry.desired import resumed, rolled_back, taken_back
from gitml.registry.desired import with_canary as canary_edit
from gitml.spec.deployment import Canary, Deployment, Hold, VersionHold
from gitml.spec.gates import Gates
from gitml.verdict import Phase
from policy.kit import (
    BOB,
    NEW,
    NOW,
    OLD,
    OLD_FILE,
    OLGA,
    PROOFS,
    RITA,
    altered,
    case,
    facts,
    pin,
    proof,
    pull,
    review,
    rules,
    version,
)

SHUT = (Phase.INCONCLUSIVE, Phase.FAILED)


def judged(found: Case, **changes: object) -> Decision:
    return decide(rules(**changes), found)


def test_every_gate_that_policy_can_ask_for_has_a_judge() -> None:
    assert list(GATES) == list(Gates.model_fields)


def test_a_promotion_that_meets_everything_is_open() -> None:
    found = judged(case())
    assert found.move is Move.PROMOTION
    assert {n: v.reason for n, v in found.verdicts.items() if v.phase is not Phase.SUCCESSFUL} == {}
    assert found.is_open, found
    assert list(found.verdicts) == ["change", "artifact", "loads", "trained", "order", *GATES]
    assert [s.what for s in found.next_steps] == ["merge it: here, or with `gitml merge NUMBER`"]


def test_a_version_that_main_could_not_use_is_shut_whether_policy_asks_or_not() -> None:
    """Also by an override, and by a later trial that passes: what a version is does not change."""
    bad = proof("evaluated", result="failed", details={"reason": "opset 99 is not known"}, time=NOW - timedelta(days=3))
    opened = [
        proof(
            "overridden",
            new="b" * 40,
            environment="production",
            by=who,
            owner=who,
            details={"gates": ["loads"], "reason": "x", "until": (NOW + timedelta(days=1)).isoformat()},
        )
        for who in ("olga", "rita")
    ]
    found = judged(case(facts=facts(proofs=(*PROOFS, bad)), proofs=tuple(opened), blob="b" * 40))
    assert found.verdicts["loads"].phase is Phase.FAILED
    assert "opset 99 is not known" in found.verdicts["loads"].reason
    assert not found.is_open
    assert any("loads" in step.what for step in found.next_steps)
    other = altered(bad, artifact="9" * 64)
    assert judged(case(facts=facts(proofs=(*PROOFS, other)))).is_open
    assert judged(case(facts=facts(proofs=Unknown("away")))).verdicts["loads"].phase is Phase.INCONCLUSIVE


def test_each_gate_alone_keeps_it_shut() -> None:
    spoiled = {
        "metrics": {"metrics": Unknown("no metrics")},
        "champion": {"better": {}},
        "format": {"format": "pickle"},
        "signature": {"signature": Unknown("none")},
        "data_age": {"data_until": Unknown("nothing says")},
        "size": {"size": 10**9},
        "slices": {"slices": Unknown("none")},
        "fairness": {"slices": Unknown("none")},
        "audit_age": {"bias_audited": Unknown("nothing says")},
        "artifact": {"verified": Unknown("the remote is away")},
    }
    for name, change in spoiled.items():
        found = judged(case(facts=facts(candidate=version(**change))))
        assert found.verdicts[name].phase in SHUT, name
        assert not found.is_open
        assert found.next_steps


@pytest.mark.parametrize("kind", ["trained", "evaluated", "reproduced"])
def test_missing_evidence_keeps_it_shut(kind: str) -> None:
    left = tuple(p for p in PROOFS if p.kind != kind)
    assert not judged(case(facts=facts(proofs=left))).is_open


def test_facts_of_another_case_are_none() -> None:
    for changes in ({"repository": "evil/x"}, {"environment": "staging"}, {"now": NOW - timedelta(days=400)}):
        found = judged(case(facts=facts(**changes)))
        assert found.verdicts["version"].phase is Phase.INCONCLUSIVE, changes
        assert not found.is_open


def test_the_digest_of_the_file_must_be_the_records() -> None:
    found = judged(case(new=Deployment(champion=pin(artifact="9" * 64))))
    assert "says the digest" in found.verdicts["version"].reason
    assert not found.is_open


def test_a_version_that_nobody_knows_is_shut() -> None:
    found = judged(case(candidates=()))
    assert found.verdicts["version"].phase is Phase.INCONCLUSIVE
    assert not found.is_open


def test_a_pull_request_with_more_in_it_is_refused() -> None:
    found = judged(case(refused=("changes policy.yaml as well",)))
    assert (found.move, found.phase) == (Move.REFUSED, Phase.FAILED)
    assert "policy.yaml" in found.verdicts["change"].reason


def test_a_file_that_cannot_be_read_is_shut_and_one_that_is_deleted_refused() -> None:
    assert judged(case(new=Unknown("has the key champion twice"))).phase is Phase.INCONCLUSIVE
    assert judged(case(new=None)).phase is Phase.FAILED


def test_an_environment_that_base_does_not_know() -> None:
    assert judged(case(environment="moon", facts=facts(environment="moon"))).phase in SHUT


def test_a_gate_of_the_model_replaces_the_environments() -> None:
    strict = rules().model_dump(mode="python")["environments"]["production"]
    own = {"delay": {"gates": {"metrics": {"auc": {"at_least": 0.9}}}}}
    policy = rules(
        environments={
            "staging": {"approvals": {"operations": 1}},
            "production": {"approvals": strict["approvals"], "models": own},
        }
    )
    found = decide(policy, case())
    assert found.verdicts["metrics"].phase is Phase.FAILED


# freezes and holds


FREEZE = {"from": "2026-11-20", "until": "2026-11-25", "reason": "Thanksgiving"}


def test_a_freeze_stops_a_promotion_on_its_last_day_and_not_the_day_after() -> None:
    found = judged(case(), freezes=[FREEZE])
    assert found.freeze.phase is Phase.FAILED
    assert "Thanksgiving" in found.freeze.reason
    assert not found.is_open
    later = NOW + timedelta(days=1)
    spec = facts(now=later)
    assert judged(case(now=later, facts=spec), freezes=[FREEZE]).is_open


def test_a_freeze_of_another_environment_does_not_matter() -> None:
    assert judged(case(), freezes=[{**FREEZE, "environments": ["staging"]}]).is_open


def test_a_hold_on_base_stops_a_promotion_also_one_that_removes_it() -> None:
    held = Deployment(champion=pin(OLD, OLD_FILE), hold=Hold(by="olga", reason="incident 7"))
    found = judged(case(old=held))
    assert found.hold.phase is Phase.FAILED
    assert "incident 7" in found.hold.reason
    assert not found.is_open


def test_a_hold_that_has_ended_does_not_matter() -> None:
    held = Deployment(champion=pin(OLD, OLD_FILE), hold=Hold(by="olga", reason="x", until=NOW - timedelta(hours=1)))
    assert judged(case(old=held)).is_open


# rollbacks, stops, resumes


def rollback(**changes: object) -> Case:
    """From NEW, which is champion, back to OLD with a hold."""
    back = version(OLD, OLD_FILE, verified=Unknown("its remote is away"), authors=Unknown("no clone"))
    proofs = (proof("promoted", version=OLD, artifact=OLD_FILE, environment="production"),)
    start = case(
        old=Deployment(champion=pin()),
        new=Deployment(champion=pin(OLD, OLD_FILE), hold=Hold(by="olga", reason="wrong alerts")),
        candidates=(("champion", OLD, facts(candidate=back, champion=Unknown("it is broken"), proofs=proofs)),),
        pull=pull(reviews=(review(OLGA),)),
        proofs=proofs,
    )
    return replace(start, **changes)  # type: ignore[arg-type]


def test_a_rollback_needs_no_gates_no_end_of_a_freeze_and_one_person() -> None:
    found = judged(rollback(), freezes=[FREEZE])
    assert found.move is Move.ROLLBACK
    assert list(found.verdicts) == ["change", "ran before"]
    assert found.is_open, found


def test_a_rollback_goes_through_a_hold() -> None:
    held = Deployment(champion=pin(), hold=Hold(by="rita", reason="looking"))
    assert judged(rollback(old=held)).is_open


def test_a_rollback_needs_somebody_else() -> None:
    assert not judged(rollback(pull=pull(asked_by=(OLGA,), reviews=(review(OLGA),)))).is_open
    assert not judged(rollback(pull=pull(reviews=()))).is_open
    assert judged(rollback(pull=pull(asked_by=(OLGA,), reviews=(review(RITA),)))).is_open


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "trained"},
        {"environment": "staging"},
        {"artifact": "9" * 64},
        {"repository": "evil/x"},
        {"result": "failed"},
        {"why_not": "signed by an unknown key"},
        {"details": {"part": "shadow"}},
    ],
)
def test_a_rollback_to_what_never_ran_here_is_shut(changes: dict[str, object]) -> None:
    start = rollback()
    ran = altered(proof("promoted", version=OLD, artifact=OLD_FILE, environment="production"), **changes)
    known = replace(start.candidates[0][2], proofs=(ran,))  # type: ignore[type-var]
    found = judged(replace(start, candidates=(("champion", OLD, known),)))
    assert found.verdicts["ran before"].phase is Phase.INCONCLUSIVE
    assert not found.is_open


@pytest.mark.parametrize(
    ("left", "phase"),
    [
        (None, Phase.FAILED),
        (Departure(NOW - timedelta(days=9), by_rollback=False), Phase.FAILED),
        (Departure(NOW - timedelta(hours=1), by_rollback=False), Phase.SUCCESSFUL),
        (Departure(NOW - timedelta(hours=1), by_rollback=True), Phase.FAILED),
    ],
)
def test_a_rollback_is_not_to_what_was_taken_away_or_turned_out_unusable_since(
    left: Departure | None, phase: Phase
) -> None:
    start = rollback()
    old = start.candidates[0][2]
    assert isinstance(old, Facts)
    assert not isinstance(old.proofs, Unknown)
    unusable = proof("evaluated", version=OLD, artifact=OLD_FILE, result="failed")  # a day ago
    known = replace(old, proofs=(*old.proofs, unusable), left=left)
    found = judged(replace(start, candidates=(("champion", OLD, known),)))
    assert found.verdicts["ran before"].phase is phase
    assert found.is_open is (phase is Phase.SUCCESSFUL)


def test_back_without_a_hold_is_a_promotion_with_all_gates() -> None:
    found = judged(rollback(new=Deployment(champion=pin(OLD, OLD_FILE))))
    assert found.move is Move.PROMOTION
    assert not found.is_open


def test_a_hold_alone_needs_one_person_and_its_removal_all_approvals() -> None:
    free, held = (Deployment(champion=pin(), hold=h) for h in (None, Hold(by="olga", reason="x")))
    one = pull(reviews=(review(RITA),))
    stop = judged(case(old=free, new=held, candidates=(), pull=one))
    assert (stop.move, stop.is_open) == (Move.STOP, True)
    resume = judged(case(old=held, new=free, candidates=(), pull=one))
    assert (resume.move, resume.phase) == (Move.RESUME, Phase.INCONCLUSIVE)
    assert judged(case(old=held, new=free, candidates=())).is_open


def test_a_version_that_is_held_is_not_promoted_and_everything_else_is() -> None:
    here = Deployment(champion=pin(OLD, OLD_FILE), held=(VersionHold(version=NEW, by="gitml-bot", reason="it failed"),))
    found = judged(case(old=here))
    assert (found.hold.phase, found.hold.reason) == (
        Phase.FAILED, "held by gitml-bot until somebody removes it: it failed",
    )  # fmt: skip
    assert rolled_back(here, pin(), Hold(by="olga", reason="x")).held == ()
    other = here.model_copy(
        update={"held": (here.held[0].model_copy(update={"version": "20260101T000000Z-00000000"}),)}
    )
    assert judged(case(old=other)).is_open
    over = here.held[0].model_copy(update={"until": NOW - timedelta(hours=1)})
    assert judged(case(old=here.model_copy(update={"held": (over,)}))).is_open


def test_one_person_takes_a_canary_back_and_all_approvals_end_the_hold_of_its_version() -> None:
    one = pull(reviews=(review(RITA),))
    before = with_canary(10)
    back = taken_back(before, VersionHold(version=NEW, by="gitml-bot", reason="it failed"))
    assert (back.canary, back.held[0].version) == (None, NEW)
    stop = judged(case(old=before, new=back, candidates=(), pull=one))
    assert (stop.move, stop.is_open) == (Move.STOP, True)
    found = judged(case(old=back, new=resumed(back, NEW), candidates=(), pull=one))
    assert (found.move, found.phase) == (Move.RESUME, Phase.INCONCLUSIVE)
    with pytest.raises(UsageError, match="is held there"):
        canary_edit(back, pin(), 10, NOW)
    assert canary_edit(resumed(back, NEW), pin(), 10, NOW) == before


def with_canary(weight: float | None) -> Deployment:
    canary = Canary(version=NEW, digest=pin().digest, weight=weight) if weight else None
    return Deployment(champion=pin(OLD, OLD_FILE), canary=canary)


@pytest.mark.parametrize(
    ("old", "new", "move"),
    [
        (None, 5, Move.PROMOTION),
        (5, 50, Move.PROMOTION),
        (50, 5, Move.STOP),
        (5, None, Move.STOP),
        (5, 5, Move.NOTHING),
    ],
)
def test_a_canary_is_judged_when_it_gets_more(old: float | None, new: float | None, move: Move) -> None:
    known = (("canary", NEW, facts(part="canary")),)
    found = judged(case(old=with_canary(old), new=with_canary(new), candidates=known))  # type: ignore[arg-type]
    assert found.move is move
    assert ("metrics" in found.verdicts) is (move is Move.PROMOTION)
    assert found.is_open


def test_two_new_versions_are_both_judged() -> None:
    shadow = version("20261123T120000Z-cccccccc", "3" * 64, metrics={})
    new = Deployment(champion=pin(), shadow=(pin(shadow.version, "3" * 64),))
    both = (("champion", NEW, facts()), ("shadow", shadow.version, facts(candidate=shadow)))
    found = judged(case(new=new, candidates=both))  # type: ignore[arg-type]
    assert found.verdicts["champion aaaaaaaa: metrics"].phase is Phase.SUCCESSFUL
    assert found.verdicts["shadow cccccccc: metrics"].phase is Phase.INCONCLUSIVE
    assert not found.is_open


def test_the_environment_before_comes_first() -> None:
    skipped = facts(pinned=frozenset(), proofs=tuple(p for p in PROOFS if p.kind != "promoted"))
    assert judged(case(facts=skipped)).verdicts["order"].phase is Phase.INCONCLUSIVE
    assert judged(case(facts=facts(pinned=frozenset()))).is_open  # the evidence says that it was there


def test_branch_runs_that_must_be_reproduced() -> None:
    left = tuple(p for p in PROOFS if p.kind != "reproduced")
    found = judged(case(facts=facts(proofs=left)), trust={"branch_runs": "reproduce"})
    assert found.verdicts["trained"].phase is Phase.INCONCLUSIVE


def test_a_model_made_elsewhere_needs_evaluated_instead_of_trained() -> None:
    bought = version(origin="external")
    found = judged(case(facts=facts(candidate=bought, proofs=PROOFS[1:])))
    assert found.verdicts["trained"].phase is Phase.SUCCESSFUL
    for age, phase in (("2d", Phase.SUCCESSFUL), ("1h", Phase.INCONCLUSIVE)):
        wanted = {
            "staging": {"approvals": {}},
            "production": {"approvals": {}, "gates": {"evidence": {"trained": age}}},
        }
        asked = judged(case(facts=facts(candidate=bought, proofs=PROOFS[1:])), environments=wanted)
        assert asked.verdicts["evidence"].phase is phase


# overrides


RULE = {"role": "risk", "people": 2, "lasts": "7d"}
ROLES = {
    "operations": {"people": ["olga", {"login": "bob", "id": 4}]},
    "risk": {"people": ["rita", "rob", "ada"]},
}


def signed(who: str, **changes: object) -> Believed:
    details = {"reason": "known, mended on Friday", "until": "2026-11-27T00:00:00Z", "gates": ["metrics", "freeze"]}
    start = proof("overridden", environment="production", new="f" * 40, by=who, owner=who, details=details)
    return altered(start, **changes)


def overruled(*statements: object, **changes: object) -> Decision:
    weak = facts(candidate=version(metrics={**version().metrics, "auc": replace(version().metrics["auc"], value=0.6)}))  # type: ignore[dict-item]
    roles = {"roles": ROLES, "override": RULE}
    policy = rules(**{**roles, **changes})
    gates = policy.environments["production"].gates.model_copy(update={"champion": None})
    here = policy.environments["production"].model_copy(update={"gates": gates})
    policy = policy.model_copy(update={"environments": {**policy.environments, "production": here}})
    return decide(policy, case(facts=weak, proofs=(*PROOFS, *statements)))


def test_two_people_of_the_role_open_the_gates_they_name() -> None:
    assert overruled().phase is Phase.FAILED
    found = overruled(signed("rita"), signed("rob"), freezes=[FREEZE])
    assert found.override is not None
    assert found.override.gates == ("metrics", "freeze")
    assert found.verdicts["metrics"].phase is Phase.FAILED  # what it is stays visible
    assert found.is_open


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": "rita", "by": "rita"},  # twice the same
        {"owner": "RITA", "by": "RITA"},
        {"owner": "olga", "by": "olga"},  # not of the role
        {"owner": "ada", "by": "ada"},  # of the role, but trained it
        {"by": "rita"},  # the key is somebody else's
        {"new": "0" * 40},  # another file
        {"new": ""},
        {"environment": "staging"},
        {"repository": "evil/x"},
        {"why_not": "the key has expired"},
        {"result": "failed"},
        {"details": {"until": "2026-11-27T00:00:00Z", "gates": ["metrics"]}},
        {"details": {"reason": "x", "gates": ["metrics"]}},
        {"details": {"reason": "x", "until": "2026-11-25T11:00:00Z", "gates": ["metrics"]}},
        {"details": {"reason": "x", "until": "2026-11-27", "gates": ["metrics"]}},
        {"details": {"reason": "x", "until": "2027-11-27T00:00:00Z", "gates": ["metrics"]}},
        {"details": {"reason": "x", "until": "2026-11-27T00:00:00Z", "gates": "metrics"}},
        {"details": {"reason": "x", "until": "2026-11-27T00:00:00Z", "gates": ["size"]}},
    ],
)
def test_an_override_that_is_not_whole_opens_nothing(changes: dict[str, object]) -> None:
    found = overruled(signed("rita"), signed("rob", **changes))
    assert not found.is_open
    assert found.override is None or found.override.gates == ()


def test_nobody_may_override_where_policy_says_nothing() -> None:
    found = overruled(signed("rita"), signed("rob"), override=None)
    assert not found.is_open
    assert found.override is not None
    assert found.override.verdict.phase is Phase.FAILED


def test_no_override_opens_approvals_holds_or_digests() -> None:
    everything = {"reason": "x", "until": "2026-11-27T00:00:00Z", "gates": ["artifact", "hold", "approvals", "change"]}
    both = (signed("rita", details=everything), signed("rob", details=everything))
    policy = rules(roles=ROLES, override=RULE)
    proofs = (*PROOFS, *both)
    held = Deployment(champion=pin(OLD, OLD_FILE), hold=Hold(by="olga", reason="x"))
    unverified = facts(candidate=version(verified=Unknown("away")))
    for spoiled in (
        case(proofs=proofs, old=held),
        case(proofs=proofs, facts=unverified),
        case(proofs=proofs, pull=pull(reviews=())),
        case(proofs=proofs, refused=("two",)),
    ):
        assert not decide(policy, spoiled).is_open  # type: ignore[arg-type]


def test_the_decision_as_json_says_everything() -> None:
    found = judged(case(pull=pull(reviews=(review(BOB),))))
    said = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert said["phase"] == "inconclusive"
    assert said["gates"]["metrics"]["measurements"] == {"auc": 0.7}
    assert said["approvals"]["seats"][1] == {
        "role": "risk",
        "needed": 1,
        "filled": [],
        "could": ["rita"],
        "unknown": [],
    }
    assert said["approvals"]["reviews"][0]["login"] == "bob"
