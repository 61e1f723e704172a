"""Evaluations of candidates: what was judged of a version beside the champion, at one moment, under the same rules.

Of the evaluations with one id the one that was signed first counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gitml.evidence.findings import Finding, Kind
from gitml.evidence.looks import RESULTS, out_of_order
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.jsontext import canonical
from gitml.refs import NAME, VERSION
from gitml.verdict import Phase

KIND = "canary"
FORMAT: Literal[1] = 1
Mode = Literal["replay", "shadow", "split"]
PartName = Literal["integrity", "traffic", "ratio", "guardrail", "disagreement", "primary", "kpi"]
_MOST_PARTS, _MOST_EPOCHS, _MOST_POINTS, _MOST_WORDS = 500, 1000, 60, 20_000


def _is_text(value: Any) -> Any:
    # A number would be taken for seconds since 1970.
    if not isinstance(value, str | datetime):
        raise ValueError("is no time such as 2026-01-31T08:00:00Z")
    return value


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
_Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
_Version = Annotated[str, Field(pattern=f"^{VERSION.pattern}$")]
_Words = Annotated[str, Field(max_length=_MOST_WORDS)]
_Time = Annotated[AwareDatetime, BeforeValidator(_is_text), Field(strict=False)]
_Phase = Annotated[Phase, Field(strict=False)]
_Percent = Annotated[float, Field(ge=0, le=100)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Pair(NamedTuple):
    """A candidate beside a champion: versions with the SHA-256 of their files."""

    model: str
    environment: str
    candidate: tuple[str, str]
    champion: tuple[str, str]


class JudgedVersion(_Form):
    """``artifact`` is the SHA-256 of the model file."""

    version: _Version
    artifact: Digest


class OfBoth(_Form):
    champion: Count | None
    candidate: Count | None


class ShareOfBoth(_Form):
    champion: float | None
    candidate: float | None


class _StillNeeded(_Form):
    units: Count | None
    days: float | None


class _JudgedPart(_Form):
    part: PartName
    name: _Words
    phase: _Phase
    reason: _Words
    champion: float | None
    candidate: float | None
    difference: float | None
    low: float | None
    high: float | None
    margin: float | None
    n: OfBoth
    events: OfBoth
    needed: _StillNeeded | None


class _WeightEpoch(_Form):
    weight: _Percent
    since: _Time
    until: _Time
    units: OfBoth


class LabelsOfBoth(_Form):
    coverage: ShareOfBoth
    delay_days: float | None


class SeriesPoint(_Form):
    at: _Time
    difference: float | None
    low: float | None
    high: float | None


class _WeightStep(_Form):
    """``next``: the next percent, or `champion`; None where nothing comes next. ``ready``: it may be proposed."""

    weight: _Percent
    next: _Percent | Literal["champion"] | None
    ready: bool


class ToldEvaluation(_Form):
    """What ``gitml.rollout`` tells of a candidate. ``rules`` is the digest of all that decides the test."""

    model: _Name
    environment: _Name
    mode: Mode
    scheduled: Literal[True]
    candidate: JudgedVersion
    champion: JudgedVersion
    rules: Digest
    since: _Time
    until: _Time
    at: _Time
    next_look: _Time
    phase: _Phase
    reason: _Words
    parts: Annotated[list[_JudgedPart], Field(max_length=_MOST_PARTS)]
    epochs: Annotated[list[_WeightEpoch], Field(max_length=_MOST_EPOCHS)]
    labels: LabelsOfBoth
    series: Annotated[list[SeriesPoint], Field(max_length=_MOST_POINTS)]
    step: _WeightStep
    ends: _Time | None = None
    notes: Annotated[list[_Words], Field(max_length=_MOST_PARTS)] = []

    @property
    def pair(self) -> Pair:
        arms = ((arm.version, arm.artifact) for arm in (self.candidate, self.champion))
        return Pair(self.model, self.environment, *arms)

    @property
    def may_go_on(self) -> bool:
        """Whether its next step may be proposed. A shadow has no weight, so what it shows of the guardrails decides."""
        if self.has_expired:
            return False
        if self.mode != "shadow" or self.step.ready:
            return self.step.ready
        asked = [part.phase for part in self.parts if part.part in ("integrity", "traffic", "guardrail")]
        guarded = any(part.part == "guardrail" for part in self.parts)
        return guarded and all(phase is Phase.SUCCESSFUL for phase in asked) and self.phase is not Phase.FAILED

    @property
    def has_expired(self) -> bool:
        """Whether its time is over, and nothing was decided."""
        return self.phase is Phase.INCONCLUSIVE and self.ends is not None and self.at >= self.ends

    @property
    def shows_that_the_champion_is_worse(self) -> bool:
        """By more than the margin, of a candidate that was the champion before. Under a goal: that it passes."""
        primary = next((part for part in self.parts if part.part == "primary"), None)
        if primary is None:
            return False
        if not primary.margin:
            return self.phase is Phase.SUCCESSFUL
        # What is held against −margin is better when it is higher, against +margin when it is lower.
        low, high = primary.low, primary.high
        if primary.margin < 0:
            return low is not None and low > -primary.margin
        return high is not None and high < -primary.margin

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if not self.since <= self.until <= self.at < self.next_look:
            raise ValueError("its test does not end after it begins, before the look, and that before the next one")
        if self.candidate.version == self.champion.version:
            raise ValueError("its candidate is the champion")
        if made_at(self.candidate.version) > self.at:
            raise ValueError("its candidate is of a time that was yet to come")
        wholly = all(part.phase is Phase.SUCCESSFUL for part in self.parts)
        judged = any(part.part in ("primary", "kpi") for part in self.parts)
        if self.phase is Phase.SUCCESSFUL and not (wholly and judged):
            raise ValueError("passes, and its parts do not")
        if self.step.ready and self.phase is Phase.FAILED:
            raise ValueError("fails, and its next step is ready")
        rails = [part.phase for part in self.parts if part.part in ("guardrail", "ratio")]
        if self.step.ready and not (rails and all(phase is Phase.SUCCESSFUL for phase in rails)):
            raise ValueError("its next step is ready, and its guardrails are not kept")
        return self


def made_at(version: str) -> datetime:
    """When a version was trained, as its name says: no evaluation of it is older.

    >>> made_at("20260301T070000Z-3f2a90bc")
    datetime.datetime(2026, 3, 1, 7, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


class CanaryDetails(_Form):
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
