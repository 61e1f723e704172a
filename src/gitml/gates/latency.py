"""Gate ``latency``: how long one row takes."""

from __future__ import annotations

from gitml.fields import Latency
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import counting
from gitml.gates.verdicts import failed, number, passed, shown, unclear
from gitml.verdict import Verdict

KEY = Latency
MEANING = "One row is answered within this time (95th percentile)."
ADVICE = Advice(
    SCIENTIST,
    "make the model faster",
    "wait for main's job `verify`, which measures it",
)


def judge(facts: Facts, wanted: float) -> Verdict:
    """One row is answered within this time, in 95 of 100 cases.

        latency: 20ms

    Measured by the job that signs ``evaluated`` evidence, where the model is loaded as the server loads it. The newest
    believed statement decides. Without one, or without a number above zero in it: inconclusive.
    """
    found = counting(facts, "evaluated")
    if isinstance(found, Unknown):
        return unclear(found.reason)
    took = number(found[0].details.get("latency_ms_p95"))
    if took is None or took <= 0:
        return unclear("the newest `evaluated` evidence does not say how long a row takes")
    told = f"a row takes {shown(took)} ms (95th percentile)"
    if took > wanted:
        return failed(f"{told}, at most {shown(wanted)} ms are allowed", {"latency_ms_p95": took})
    return passed(told, {"latency_ms_p95": took})


def needs(wanted: float) -> tuple[Need, ...]:
    return (Need("samples"), Need("evidence", "evaluated"))
