"""Gate ``harm``: the answers of the version are as good as when it was evaluated."""

from __future__ import annotations

from gitml.gates import lookasked
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts
from gitml.gates.lookasked import LookAsked
from gitml.verdict import Verdict

KEY = lookasked.KEY
MEANING = "Where it served before, it was not worse than its evaluation, in a look of this age."
ADVICE = Advice(
    SCIENTIST,
    "train a version that holds on live traffic: `gitml monitor` shows the metric and its interval",
    "add labels (`gitml labels add`), or wait until those of enough days have come",
)


def judge(facts: Facts, wanted: LookAsked) -> Verdict:
    """In the environment before this one the monitor found, on labels that have come, that the version is as good as
    when it was evaluated.

        harm: 14d
        harm: {within: 14d, in: staging}

    The newest signed look there decides, as for ``quality``. Without labels it is inconclusive.
    """
    return lookasked.judge_look(facts, wanted, "harm")


def needs(wanted: LookAsked) -> tuple[Need, ...]:
    return lookasked.needs_look(wanted, "harm")
