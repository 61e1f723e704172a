"""Which statements of the ledger speak of this version, and what they say."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from gitml.gates.facts import Facts, Proof, Unknown
from gitml.gates.verdicts import listed
from gitml.kinds import KINDS

# A version "ran" in an environment when evidence of one of these kinds says so.
RAN = tuple(kind for kind, row in KINDS.items() if row.ran)


def counting(facts: Facts, kind: str, places: Collection[str] | None = None) -> tuple[Proof, ...] | Unknown:
    """The believed statements of ``kind`` on exactly this version, newest first; or why there are none.

    ``places`` are the environments that they may speak of, by default the one judged.
    """
    if isinstance(facts.proofs, Unknown):
        return facts.proofs
    mine = [p for p in facts.proofs if p.kind == kind]
    doubts = {id(p): _doubt(facts, p, places or (facts.environment,)) for p in mine}
    # Of one second what did not pass is newer, whatever it is called.
    found = sorted((p for p in mine if not doubts[id(p)]), key=lambda p: (p.time, p.result != "passed"), reverse=True)
    if found:
        return tuple(found)
    why = listed((d for d in doubts.values() if d), most=4)
    version = facts.candidate.short
    return Unknown(f"no evidence `{kind}` of {version} counts: {why}" if why else f"no evidence `{kind}` of {version}")


def _doubt(facts: Facts, proof: Proof, places: Collection[str]) -> str:
    """Why the statement does not count here, or ""."""
    version = facts.candidate
    if proof.why_not:
        return proof.why_not
    if proof.repository.lower() != facts.repository.lower():
        return "one is of another repository"
    if (proof.model, proof.version) != (version.model, version.version):
        return "one is of another version"
    if proof.artifact != version.artifact:
        return "one is of another artifact"
    if proof.environment not in ("", *places) or (not KINDS[proof.kind].everywhere and not proof.environment):
        return "one is of another environment"
    return ""


def standing(proofs: tuple[Proof, ...]) -> Proof:
    """The one that decides. What a version is does not change: a failure is not undone by trying until it passes.

    Of kinds that speak of an environment the newest decides: what was observed there does change.
    """
    if KINDS[proofs[0].kind].everywhere:
        return next((p for p in proofs if p.result == "failed"), proofs[0])
    return proofs[0]


def days(age: timedelta) -> str:
    """
    >>> days(timedelta(hours=30)), days(timedelta(days=90)), days(timedelta(minutes=5)), days(timedelta(seconds=-9))
    ('1 day', '90 days', '5 minutes', '0 seconds')
    """
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        # A clock that is a little ahead dates what it signs a little later than now.
        count = int(max(age.total_seconds(), 0) // seconds)
        if count >= 1 or unit == "second":
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return ""
