"""Gate ``quality``: the data that the version was asked with keep their contract."""

from __future__ import annotations

from gitml.gates import lookasked
from gitml.gates.base import OPERATOR, Advice, Need
from gitml.gates.facts import Facts
from gitml.gates.lookasked import LookAsked
from gitml.verdict import Verdict

KEY = lookasked.KEY
MEANING = "Where it served before, its data kept their contract, in a look of this age."
ADVICE = Advice(
    OPERATOR,
    "repair the data source: `gitml monitor` names the column and the rule",
    "wait for the next look, or see what it lacks: `gitml monitor` on this version",
)


def judge(facts: Facts, wanted: LookAsked) -> Verdict:
    """In the environment before this one the monitor found that the data keep their contract.

        quality: 2d
        quality: {within: 2d, in: staging}

    What counts is the newest signed look there, by the end of its window: it must be at exactly this version and
    artifact, not older than this, and its verdict on the data contract successful. Failed keeps the gate shut. No look,
    one that is too old, one at another version, and one that could not tell are inconclusive. A gate that used a look
    leaves a copy of it in the ledger. What is judged, gitml.yaml says under ``monitors``.
    """
    return lookasked.judge_look(facts, wanted, "quality")


def needs(wanted: LookAsked) -> tuple[Need, ...]:
    return lookasked.needs_look(wanted, "quality")
