"""What every version must show by itself: its bytes are there, they load, and a job that main trusts trained it."""

from __future__ import annotations

from collections.abc import Callable

from gitml.gates import reproduced
from gitml.gates.facts import Facts, Proof, Unknown
from gitml.gates.proofs import counting, standing
from gitml.gates.verdicts import failed, passed, together, unclear
from gitml.spec.policy import Policy
from gitml.verdict import Verdict


def artifact(facts: Facts, _: Policy) -> Verdict:
    """The artifact's bytes have the digest that the deployment file and the version's record say."""
    verified = facts.candidate.verified
    return unclear(verified.reason) if isinstance(verified, Unknown) else passed(verified)


def loads(facts: Facts, _: Policy) -> Verdict:
    """No job of the default branch found that the artifact does not load, or answers otherwise than recorded.

    A failed `evaluated` shuts the gate whether policy.yaml asks for that evidence or not. It never opens again, not by
    an override either: the next version does.
    """
    if isinstance(facts.proofs, Unknown):
        return unclear(facts.proofs.reason)
    found = counting(facts, "evaluated", facts.order)
    decides = None if isinstance(found, Unknown) else standing(found)
    if decides is not None and decides.result == "failed":
        return failed(f"a job of the default branch could not use it: {said_by(decides)}")
    return passed("no job of the default branch found it unusable")


def trained(facts: Facts, policy: Policy) -> Verdict:
    """A job of the default branch vouches that this version was trained.

    There is believed evidence ``trained``; for a model made elsewhere ``evaluated`` stands for it. Until then the
    version is local, and inconclusive. With ``trust.branch_runs: reproduce`` evidence ``reproduced`` is needed as well.
    """
    kind = "evaluated" if facts.candidate.origin == "external" else "trained"
    found = counting(facts, kind)
    if isinstance(found, Unknown):
        return unclear(f"the version is local: {found.reason}")
    result = standing(found).result
    if result != "passed":
        return (failed if result == "failed" else unclear)(f"its evidence `{kind}` says {result}")
    parts = [passed(f"evidence `{kind}` of exactly this artifact")]
    if policy.trust.branch_runs == "reproduce" and kind == "trained":
        parts.append(reproduced.judge(facts, True))
    return together(parts, parts[0].reason)


def said_by(proof: Proof) -> str:
    """The reason that a statement gives."""
    return str(proof.details.get("reason") or "it did not say why")


VERSION_RULES: dict[str, Callable[[Facts, Policy], Verdict]] = {
    "artifact": artifact,
    "loads": loads,
    "trained": trained,
}
