"""Gate ``evidence``: signed statements that must exist, and how old they may be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from gitml.fields import Duration, EvidenceKind
from gitml.gates.base import OPERATOR, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import RAN, counting, days, standing
from gitml.gates.verdicts import failed, passed, together, unclear
from gitml.verdict import Verdict

KEY = Annotated[Mapping[EvidenceKind, Duration], Field(min_length=1)]
MEANING = "Signed evidence that must exist, and how old it may be."
ADVICE = Advice(
    OPERATOR,
    "find out what failed: `gitml evidence ls` shows the statements",
    "run the job that signs it: `gitml evidence ls` shows what is there",
)


def judge(facts: Facts, wanted: Mapping[str, timedelta]) -> Verdict:
    """For each kind there is a believed statement on exactly this version that passed and is young enough.

        evidence: {trained: 90d, evaluated: 30d}

    It counts if its signature is believed (policy.yaml ``keys``) and it is of this repository, model, version,
    artifact and environment; ``trained``, ``evaluated`` and ``reproduced`` hold in every environment, and what says
    that the version ran (``promoted``, ``deployed``, ``rolled-back``) may speak of the environment before this one.
    For a model made elsewhere, which nobody here trained, ``evaluated`` stands for ``trained``, of its age.
    Of ``trained``, ``evaluated`` and ``reproduced`` a failure stands, also when a later one passed; of the others
    the newest decides. Missing, too old or from the future: inconclusive.
    """
    parts = [_judge(facts, kind, age) for kind, age in wanted.items()]
    return together(parts, f"{', '.join(wanted)}: there, believed and young enough")


def needs(wanted: Mapping[str, timedelta]) -> tuple[Need, ...]:
    return tuple(Need("evidence", kind) for kind in wanted)


def _judge(facts: Facts, kind: str, age: timedelta) -> Verdict:
    if kind == "trained" and facts.candidate.origin == "external":
        kind = "evaluated"
    found = counting(facts, kind, places(facts) if kind in RAN else None)
    if isinstance(found, Unknown):
        return unclear(found.reason)
    proof = standing(found)
    old = facts.now - proof.time
    measured: dict[str, object] = {kind: f"{proof.result}, {days(old)} old"}
    if proof.result == "failed":
        return failed(f"`{kind}` says that it failed", measured)
    if proof.result != "passed":
        return unclear(f"`{kind}` is inconclusive itself", measured)
    if old > age:
        return unclear(f"`{kind}` is {days(old)} old, at most {days(age)} are allowed", measured)
    return passed(kind, measured)


def places(facts: Facts) -> tuple[str, ...]:
    """This environment and the one before it."""
    order = facts.order
    at = order.index(facts.environment) if facts.environment in order else 0
    return (facts.environment, *order[max(0, at - 1) : at])
