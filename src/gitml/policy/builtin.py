"""What every version must show, whether policy.yaml asks or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitml.gates.base import OPERATOR, SCIENTIST, Advice
from gitml.gates.evidence import places
from gitml.gates.facts import Facts, Proof, Unknown
from gitml.gates.proofs import RAN, counting, standing
from gitml.gates.table import GATES
from gitml.gates.verdicts import failed, passed, unclear
from gitml.policy.members import members
from gitml.policy.versionrules import artifact, loads, said_by, trained
from gitml.spec.policy import Policy
from gitml.verdict import Verdict


def order(facts: Facts, _: Policy) -> Verdict:
    """The version came through the environment before this one, in the order of policy.yaml."""
    if facts.environment not in facts.order:
        return unclear(f"policy.yaml has no environment {facts.environment}")
    before = facts.order[: facts.order.index(facts.environment)]
    if not before:
        return passed("the first environment")
    if before[-1] in facts.pinned:
        return passed(f"it is the champion of {before[-1]}")
    for kind in RAN:
        found = counting(facts, kind, (before[-1],))
        if not isinstance(found, Unknown) and standing(found).result == "passed":
            return passed(f"evidence `{kind}` says that it ran in {before[-1]}")
    return unclear(f"it was never in {before[-1]}, which comes before {facts.environment}")


def ran_before(facts: Facts) -> Verdict:
    """For a rollback: evidence says that exactly this version was the champion here.

    Not one that a rollback took away, nor one that a job of the default branch found unusable since it left: with
    all gates, it can be promoted.
    """
    if facts.left and facts.left.by_rollback:
        return failed(f"a rollback took it out of {facts.environment}; {_WITHOUT_HOLD}")
    unusable = _unusable_since(facts)
    if unusable is not None:
        return failed(f"since it left, a job of the default branch could not use it: {said_by(unusable)}")
    if facts.environment not in places(facts):
        return unclear("the environment is not known")
    if isinstance(facts.proofs, Unknown):
        return unclear(facts.proofs.reason)
    for kind in RAN:
        found = counting(facts, kind, (facts.environment,))
        fine = () if isinstance(found, Unknown) else [p for p in found if p.result == "passed"]
        if any(p.details.get("part", "champion") == "champion" for p in fine):
            return passed(f"evidence `{kind}` says that it was the champion of {facts.environment}")
    return unclear(f"no evidence says that it was the champion of {facts.environment} before; {_WITHOUT_HOLD}")


_WITHOUT_HOLD = "without the hold in the file it can be promoted, with all gates"


def _unusable_since(facts: Facts) -> Proof | None:
    found = counting(facts, "evaluated", facts.order)
    failures = () if isinstance(found, Unknown) else (p for p in found if p.result == "failed")
    return next((p for p in failures if facts.left is None or p.time > facts.left.time), None)


@dataclass(frozen=True)
class Rule:
    """A gate without a key in policy.yaml."""

    judge: Callable[[Facts, Policy], Verdict]
    advice: Advice


BUILT_IN: dict[str, Rule] = {
    "artifact": Rule(
        artifact,
        Advice(
            SCIENTIST,
            "push the artifact that the record speaks of: `dvc push`, with the dvc.lock of the commit that brought it",
            "push the artifact that the record speaks of: `dvc push`, or let main's jobs verify it",
        ),
    ),
    "loads": Rule(
        loads,
        Advice(
            SCIENTIST,
            "train a version that loads: the job `verify` of main says in its log what went wrong with this one",
            "wait for the job `verify` of main",
        ),
    ),
    "trained": Rule(
        trained,
        Advice(
            SCIENTIST,
            "train again: main's own job says that this run is not what the record says",
            "let CI train the version, and wait until the job `record` of main has signed for it",
        ),
    ),
    "order": Rule(order, Advice(OPERATOR, "promote it to the environment before first")),
    "members": Rule(
        members,
        Advice(
            OPERATOR,
            "promote a version of the member that passes, as shadow if it need not answer, and pin it in the ensemble",
            "promote the member to here first, as shadow if it need not answer; or give it what its gates ask for",
        ),
    ),
}
# Of what is judged besides: the change itself, whether anything is known of a version, and where a rollback goes.
ELSE = {
    "change": Advice(
        OPERATOR,
        "open a pull request that edits one deployment file and nothing else: `gitml promote` does",
        "bring the branch up to date with its base, or open it again with `gitml promote`",
    ),
    "version": Advice(
        OPERATOR, *["pin a version that is on the base branch, with the digest that its record says"] * 2
    ),
    "ran before": Advice(OPERATOR, "choose a version that was the champion here: `gitml status` lists them"),
}


def advice_on(gate: str) -> Advice | None:
    """What to do about a shut gate, by its name."""
    if gate in GATES:
        return GATES[gate].ADVICE
    return BUILT_IN[gate].advice if gate in BUILT_IN else ELSE.get(gate)
