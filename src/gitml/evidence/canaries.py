"""Evaluations of candidates: what was judged of a version beside the champion, at one moment, under the same rules.

Of the evaluations with one id the one that was signed first counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from gitml.evidence.evaluations import Digest, EvaluationForm, Pair, ToldEvaluation
from gitml.evidence.findings import Finding, Kind
from gitml.evidence.looks import RESULTS, out_of_order
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.jsontext import canonical
from gitml.verdict import Phase

KIND = "canary"
FORMAT: Literal[1] = 1


class CanaryDetails(EvaluationForm):
    """``id`` is made of what makes two evaluations answer the same question."""

    format: Literal[1] = FORMAT
    id: Digest
    evaluation: ToldEvaluation

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.id != canary_id(self.evaluation):
            raise ValueError("its id is not that of its versions, rules, mode and moment")
        return self


def canary_id(told: ToldEvaluation) -> str:
    """What an evaluation is known by: every one with it answers the same question at the same moment."""
    arms = [[arm.version, arm.artifact] for arm in (told.candidate, told.champion)]
    moment = f"{told.at.timestamp():.0f}"
    decides = [told.model, told.environment, told.mode, *arms, told.rules, moment]
    return hashlib.sha256(canonical(decides)).hexdigest()


def canary_details(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What is signed of an evaluation. Raises ValueError for one that cannot be signed."""
    try:
        told = ToldEvaluation.model_validate(dict(evaluation))
    except ValidationError as exc:
        raise ValueError(_first(exc, "evaluation")) from None
    return {"format": FORMAT, "id": canary_id(told), "evaluation": dict(evaluation)}


@dataclass(frozen=True)
class SignedCanary:
    """A believed statement with what it says."""

    said: Believed
    details: CanaryDetails

    @property
    def id(self) -> str:
        return self.details.id

    @property
    def told(self) -> ToldEvaluation:
        return self.details.evaluation

    @property
    def pair(self) -> Pair:
        return self.told.pair

    @property
    def raw(self) -> Mapping[str, Any]:
        """The evaluation as it was signed, for reports."""
        found: Mapping[str, Any] = self.said.details["evaluation"]
        return found


def canary_of(said: Believed) -> SignedCanary:
    """Raises ValueError for a statement that is no evaluation, or contradicts itself."""
    if said.statement is None:
        raise ValueError("is no evaluation of a candidate")
    return SignedCanary(said, details_of(said.statement))


def details_of(statement: Statement) -> CanaryDetails:
    """Of a statement that is believed. Raises ValueError as ``canary_of``."""
    about = statement.binding
    if about.kind != KIND:
        raise ValueError("is no evaluation of a candidate")
    try:
        details = CanaryDetails.model_validate(dict(statement.details))
    except ValidationError as exc:
        raise ValueError(_first(exc, "details")) from None
    told = details.evaluation
    named = (about.model, about.environment, about.version, about.artifact, about.result)
    arm = told.candidate
    if named != (told.model, told.environment, arm.version, arm.artifact, RESULTS[told.phase]):
        raise ValueError("its details speak of something else than its binding")
    if told.at > about.moment + LEEWAY:
        raise ValueError(f"is dated {about.time}, before the evaluation itself")
    return details


def _first(exc: ValidationError, otherwise: str) -> str:
    first = exc.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or otherwise}: {first['msg']}"


@dataclass(frozen=True)
class Canaries:
    """The evaluations that count, by the moments of their looks, and those of the same ids that came later."""

    counting: tuple[SignedCanary, ...] = ()
    later: tuple[SignedCanary, ...] = ()

    def of(self, pair: Pair) -> tuple[SignedCanary, ...]:
        return tuple(one for one in self.counting if one.pair == pair)

    def newest(self, pair: Pair, rules: str) -> SignedCanary | None:
        """Under exactly these rules, on live traffic; None where nothing is signed under them."""
        live = (one for one in reversed(self.of(pair)) if one.told.mode != "replay")
        return next((one for one in live if one.told.rules == rules), None)

    def failed(self, pair: Pair) -> SignedCanary | None:
        """The first that failed, under whatever rules: it stays failed."""
        return next((one for one in self.of(pair) if one.told.phase is Phase.FAILED), None)


def canaries_of(told: Iterable[Believed]) -> Canaries:
    """Of statements that count; one that contradicts itself does not."""
    first: dict[str, SignedCanary] = {}
    later = []
    for said in sorted(told, key=_signed):
        try:
            one = canary_of(said)
        except ValueError:
            continue
        if first.setdefault(one.id, one) is not one:
            later.append(one)
    return Canaries(tuple(sorted(first.values(), key=lambda c: (c.told.at, _signed(c.said)))), tuple(later))


def _signed(said: Believed) -> tuple[datetime, str]:
    return said.time, said.name


def findings(told: Sequence[Believed], lag: timedelta = timedelta(hours=1)) -> Iterator[Finding]:
    """All that is wrong with the evaluations of a branch; ``told`` in the order in which they came."""
    for said in told:
        try:
            if said:
                canary_of(said)
        except ValueError as exc:
            yield Finding(Cause.UNREADABLE, said.name, f"contradicts itself: {exc}", said.event.commit)
    yield from out_of_order(told, lag)
    counts = canaries_of(said for said in told if said)
    first = {one.id: one for one in counts.counting}
    for one in counts.later:
        before = first[one.id]
        if one.raw != before.raw:
            message = f"finds something else than {before.said.name}, of the same candidate at the same moment"
            yield Finding(Kind.CANARY_CONTRADICTED, one.said.name, message, one.said.event.commit)
