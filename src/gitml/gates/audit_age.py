"""Gate ``audit_age``: how long ago an independent auditor looked at the model for bias."""

from __future__ import annotations

from datetime import timedelta

from gitml.fields import Duration
from gitml.gates.base import Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import days
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Verdict

KEY = Duration
MEANING = "An independent auditor looked at the model for bias no longer ago than this."
ADVICE = Advice(
    "risk",
    "have an independent auditor look at the model anew, and write the audit under `bias` of gitml.yaml",
    "write the last audit under `bias` of gitml.yaml: `audited: {on, by, report}`",
)


def judge(facts: Facts, wanted: timedelta) -> Verdict:
    """The model's last independent bias audit is not longer ago than this.

        audit_age: 365d

    New York City lets nobody use a tool for employment decisions more than a year after its most recent bias audit
    (6 RCNY § 5-301 (a)). When that was, ``bias.MODEL.audited`` of gitml.yaml on the base branch says, which people
    reviewed: the gate does not know whether the auditor is independent. Missing or in the future: inconclusive.
    """
    audited = facts.candidate.bias_audited
    if isinstance(audited, Unknown):
        return unclear(audited.reason)
    told, measured = f"the last bias audit is of {audited:%Y-%m-%d}", {"bias_audited": audited.isoformat()}
    old = facts.now - audited
    if old < timedelta(0):
        return unclear(f"{told}, in the future", measured)
    if old > wanted:
        return failed(f"{told}, {days(old)} old; at most {days(wanted)} are allowed", measured)
    return passed(f"{told}, {days(old)} old", measured)


def needs(wanted: timedelta) -> tuple[Need, ...]:
    return (Need("audited"),)
