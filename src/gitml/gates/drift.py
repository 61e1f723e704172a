"""Gate ``drift``: the data that the version was asked with are like those that it was made of."""

from __future__ import annotations

from gitml.gates import lookasked
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts
from gitml.gates.lookasked import LookAsked
from gitml.verdict import Verdict

KEY = lookasked.KEY
MEANING = "Where it served before, no column had drifted, in a look of this age."
ADVICE = Advice(
    SCIENTIST,
    "train on newer data; or, if nobody minds the change, raise the floor of the column under `monitors` in gitml.yaml",
    "wait for the next look, or see what it lacks: `gitml monitor` on this version",
)


def judge(facts: Facts, wanted: LookAsked) -> Verdict:
    """In the environment before this one the monitor found no column that has drifted from the version's reference.

        drift: 8d
        drift: {within: 8d, in: staging}

    The newest signed look there decides, as for ``quality``. A column that is muted does not fail it. A reference or a
    window with too few rows is inconclusive.
    """
    return lookasked.judge_look(facts, wanted, "drift")


def needs(wanted: LookAsked) -> tuple[Need, ...]:
    return lookasked.needs_look(wanted, "drift")
