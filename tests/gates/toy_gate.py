"""A gate in one file, to see that nothing else has to know of it."""

from __future__ import annotations

from gitml.fields import Count
from gitml.gates.base import OPERATOR, Advice, Need
from gitml.gates.facts import Facts
from gitml.gates.verdicts import failed, passed
from gitml.verdict import Verdict

KEY = Count
MEANING = "The model's name has no more letters."
ADVICE = Advice(OPERATOR, "give the model a shorter name")


def judge(facts: Facts, wanted: int) -> Verdict:
    """The model's name has no more letters than this.

        brevity: 8

    Short names fit into one line of a table.
    """
    name = facts.candidate.model
    return passed(f"{name} is short") if len(name) <= wanted else failed(f"{name} has {len(name)} letters")


def needs(wanted: int) -> tuple[Need, ...]:
    return (Need("signature"),)
