"""Gate ``data_age``: how old the newest training data is."""

from __future__ import annotations

from datetime import timedelta

from gitml.fields import Duration
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import days
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Verdict

KEY = Duration
MEANING = "The newest training data is not older than this."
ADVICE = Advice(
    SCIENTIST,
    "train on newer data",
    "let the stage that trains write `data_until` into the signature",
)


def judge(facts: Facts, wanted: timedelta) -> Verdict:
    """The newest row that the model was trained on is not older than this.

        data_age: 60d

    When that row is from, the model's signature file says as ``data_until``: a day, which counts to its end, or a time
    with its zone. The stage that fits the model writes it. Missing, unreadable or in the future: inconclusive.
    """
    until = facts.candidate.data_until
    if isinstance(until, Unknown):
        return unclear(until.reason)
    old = facts.now - until
    told = f"the newest training data is of {until:%Y-%m-%d %H:%M} UTC"
    if old < timedelta(0):
        return unclear(f"{told}, in the future", {"data_until": until.isoformat()})
    if old > wanted:
        return failed(f"{told}, {days(old)} old; at most {days(wanted)} are allowed", {"data_until": until.isoformat()})
    return passed(f"{told}, {days(old)} old", {"data_until": until.isoformat()})


def needs(wanted: timedelta) -> tuple[Need, ...]:
    return ()
