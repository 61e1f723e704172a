"""Gate ``review_age``: the review of a model that runs is not overdue."""

from __future__ import annotations

from collections.abc import Iterable

from gitml.fields import Flag
from gitml.gates.base import Advice, Need
from gitml.gates.facts import Facts, Proof, Unknown
from gitml.gates.proofs import days
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Verdict

KEY = Flag
MEANING = "Whether the last review of the model, by tier under `reviews`, must not be overdue."
ADVICE = Advice(
    "risk",
    "review the model that runs, and sign that: `gitml review`",
    "say under `reviews` how often models are reviewed, and sign a review: `gitml review`",
)


def judge(facts: Facts, wanted: bool) -> Verdict:
    """People reviewed the model no longer ago than its tier allows, and the last review passed.

        review_age: true

    How often is said by ``reviews`` of policy.yaml, by tier, or by ``review`` of the model in gitml.yaml where that is
    shorter. A review is what ``gitml review`` signed (evidence ``reviewed``), or the approvals of an earlier promotion
    of the model to any environment (evidence ``approved``). Of the same moment a failed one counts. A model that runs
    nowhere passes: who approves its first promotion reviews it. Where nobody says how often: inconclusive.
    """
    if isinstance(facts.proofs, Unknown):
        return unclear(facts.proofs.reason)
    model, period = facts.candidate.model, facts.review_within
    if isinstance(period, Unknown):
        return unclear(period.reason)
    found = last_review(facts.proofs, model)
    if found is None:
        if facts.champion is None:
            return passed(f"{model} does not run yet: who approves this reviews it")
        return unclear(f"no review of {model} is signed, and it runs")
    old = facts.now - found.time
    told, measured = f"the last review of {model} is {days(old)} old", {"reviewed": found.time.isoformat()}
    if found.result != "passed":
        return failed(f"{told}, and it failed", measured)
    if old > period:
        return failed(f"{told}; at most {days(period)} are allowed", measured)
    return passed(told, measured)


def needs(wanted: bool) -> tuple[Need, ...]:
    return (Need("reviews"),)


def reviews(proofs: Iterable[Proof], model: str) -> list[Proof]:
    """The believed reviews of a model, newest first: signed ones, and approvals of promotions that passed.

    Who trained a version says nothing good of it.
    """
    mine = [proof for proof in proofs if not proof.why_not and proof.model == model]
    made = {(proof.version, proof.by.lower()) for proof in mine if proof.kind == "trained"}
    found = [p for p in mine if _is_review(p) and (p.result == "failed" or (p.version, p.by.lower()) not in made)]
    return sorted(found, key=lambda proof: (proof.time, proof.result != "passed"), reverse=True)


def last_review(proofs: Iterable[Proof], model: str) -> Proof | None:
    return next(iter(reviews(proofs, model)), None)


def _is_review(proof: Proof) -> bool:
    if proof.kind == "reviewed":
        return True
    # Approvals that were not enough reviewed nothing; nor did those of a rollback, which one operator gives.
    by_people = bool(proof.details.get("approvers")) and proof.details.get("move") == "promotion"
    return proof.kind == "approved" and proof.result == "passed" and by_people
