"""Gate ``capacity``: how many rows one core answers in a second."""

from __future__ import annotations

from gitml.fields import Rate
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import counting
from gitml.gates.verdicts import failed, number, passed, shown, unclear
from gitml.verdict import Verdict

KEY = Rate
MEANING = "One core answers at least so many rows in a second."
ADVICE = Advice(
    SCIENTIST,
    "make the model faster, or plan more processes: `gitml size` says how many",
    "wait for main's job `verify`, which measures it",
)


def judge(facts: Facts, wanted: float) -> Verdict:
    """One core answers at least so many rows in a second, 32 at a time.

        capacity: 500/s

    Measured by the job that signs ``evaluated`` evidence, where the model is loaded as the server loads it; HTTP and
    the log come on top, which ``gitml size`` measures. The newest believed statement decides. Without one, or without a
    number above zero in it: inconclusive.
    """
    found = counting(facts, "evaluated")
    if isinstance(found, Unknown):
        return unclear(found.reason)
    rate = number(found[0].details.get("rows_per_second"))
    if rate is None or rate <= 0:
        return unclear("the newest `evaluated` evidence does not say how many rows a core answers")
    told = f"a core answers {shown(rate)} rows a second"
    if rate < wanted:
        return failed(f"{told}, at least {shown(wanted)} are wanted", {"rows_per_second": rate})
    return passed(told, {"rows_per_second": rate})


def needs(wanted: float) -> tuple[Need, ...]:
    return (Need("samples"), Need("evidence", "evaluated"))
