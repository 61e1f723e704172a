"""Gate ``reproduced``: trained a second time from its record."""

from __future__ import annotations

from gitml.policy.facts import Facts, Unknown
from gitml.policy.proofs import counting, days, standing
from gitml.policy.verdicts import failed, passed, unclear
from gitml.verdict import Verdict


def judge(facts: Facts, wanted: bool) -> Verdict:
    """A job of the default branch trained the version a second time and found the same.

        reproduced: true

    There is signed evidence ``reproduced`` on exactly this version and artifact, and it passed. One that failed stands,
    also when a later one passed. None is inconclusive.
    """
    if not wanted:
        return passed("not asked for")
    found = counting(facts, "reproduced")
    if isinstance(found, Unknown):
        return unclear(found.reason)
    proof = standing(found)
    if proof.result == "failed":
        return failed("trained a second time, it came out differently")
    if proof.result != "passed":
        return unclear("trained a second time, but whether it is the same could not be told")
    return passed(f"trained a second time with the same result, {days(facts.now - proof.time)} ago")
