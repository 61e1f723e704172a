"""Gate ``reproduced``: trained a second time from its record."""

from __future__ import annotations

from gitml.fields import Flag
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import counting, days, standing
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Verdict

KEY = Flag
MEANING = "Trained a second time from its record, with the same result."
ADVICE = Advice(
    SCIENTIST,
    "find out why the training is not repeatable: `gitml reproduce` names the first difference",
    "wait for main's job `verify`, which trains it a second time",
)


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


def needs(wanted: bool) -> tuple[Need, ...]:
    return (Need("evidence", "reproduced"),) if wanted else ()
