"""Gate ``format``: how the artifact is stored, and that it is the one that the record speaks of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from gitml.fields import Format
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Verdict

KEY = Annotated[tuple[Format, ...], Field(min_length=1)]
MEANING = "Formats that the artifact may have."
ADVICE = Advice(
    SCIENTIST,
    "store the model in an allowed format",
    "push the artifact: `dvc push`",
)


def judge(facts: Facts, wanted: Collection[str]) -> Verdict:
    """The artifact is stored in one of these formats, and its bytes have the digest that the record says.

        format: [skops, safetensors]

    ``skops``, ``safetensors`` and ``onnx`` are data. ``pickle`` runs code when it is loaded: it passes only while an
    entry of ``exceptions`` in policy.yaml allows it for this model, even where this list names it. Bytes that nobody
    could compare with the digest are inconclusive.
    """
    version = facts.candidate
    if version.format == "pickle":
        return _exempt(facts)
    if version.format not in wanted:
        return failed(f"it is {version.format or 'of no known format'}; allowed: {', '.join(wanted)}")
    return _verified(facts, version.format)


def needs(wanted: Collection[str]) -> tuple[Need, ...]:
    return ()


def _exempt(facts: Facts) -> Verdict:
    mine = [e for e in facts.exceptions if e.allow == "pickle" and e.model == facts.candidate.model]
    valid = [e for e in mine if e.until > facts.now]
    if valid:
        longest = max(valid, key=lambda e: e.until)
        told = f"pickle, allowed until {longest.until:%Y-%m-%d %H:%M} UTC by {longest.by}: {longest.reason}"
        return _verified(facts, told)
    ended = f"; the exception ended {max(e.until for e in mine):%Y-%m-%d %H:%M} UTC" if mine else ""
    return failed(f"it is a pickle, which runs code when it is loaded{ended}")


def _verified(facts: Facts, told: str) -> Verdict:
    verified = facts.candidate.verified
    if isinstance(verified, Unknown):
        return unclear(f"{told}, but its digest is not verified: {verified.reason}")
    return passed(f"{told}; digest verified: {verified}")
