"""What every version must show, whether policy.yaml asks or not."""

from __future__ import annotations

from collections.abc import Callable

from gitml.policy import reproduced
from gitml.policy.evidence import places
from gitml.policy.facts import Facts, Unknown
from gitml.policy.proofs import RAN, counting, standing
from gitml.policy.verdicts import failed, passed, together, unclear
from gitml.spec.policy import Policy
from gitml.verdict import Verdict


def artifact(facts: Facts, _: Policy) -> Verdict:
    """The artifact's bytes have the digest that the deployment file and the version's record say."""
    verified = facts.candidate.verified
    return unclear(verified.reason) if isinstance(verified, Unknown) else passed(verified)


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
    """For a rollback: evidence says that exactly this version was the champion here."""
    if facts.environment not in places(facts):
        return unclear("the environment is not known")
    if isinstance(facts.proofs, Unknown):
        return unclear(facts.proofs.reason)
    for kind in RAN:
        found = counting(facts, kind, (facts.environment,))
        fine = () if isinstance(found, Unknown) else [p for p in found if p.result == "passed"]
        if any(p.details.get("part", "champion") == "champion" for p in fine):
            return passed(f"evidence `{kind}` says that it was the champion of {facts.environment}")
    hint = "without the hold in the file it can be promoted, with all gates"
    return unclear(f"no evidence says that it was the champion of {facts.environment} before; {hint}")


BUILT_IN: dict[str, Callable[[Facts, Policy], Verdict]] = {"artifact": artifact, "trained": trained, "order": order}
