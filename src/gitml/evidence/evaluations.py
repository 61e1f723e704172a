"""What is told of a candidate beside the champion: the form in which an evaluation is handed over and signed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gitml.refs import NAME, VERSION
from gitml.verdict import Phase

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


class EvaluationForm(BaseModel):
    """Exactly these keys, of these types: what is signed is read by others."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Pair(NamedTuple):
    """A candidate beside a champion: versions with the SHA-256 of their files."""

    model: str
    environment: str
    candidate: tuple[str, str]
    champion: tuple[str, str]


class JudgedVersion(EvaluationForm):
    """``artifact`` is the SHA-256 of the model file."""

    version: _Version
    artifact: Digest


class OfBoth(EvaluationForm):
    champion: Count | None
    candidate: Count | None


class ShareOfBoth(EvaluationForm):
    champion: float | None
    candidate: float | None


class _StillNeeded(EvaluationForm):
    units: Count | None
    days: float | None


class _JudgedPart(EvaluationForm):
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


class _WeightEpoch(EvaluationForm):
    weight: _Percent
    since: _Time
    until: _Time
    units: OfBoth


class LabelsOfBoth(EvaluationForm):
    coverage: ShareOfBoth
    delay_days: float | None


class SeriesPoint(EvaluationForm):
    at: _Time
    difference: float | None
    low: float | None
    high: float | None


class _WeightStep(EvaluationForm):
    """``next``: the next percent, or `champion`; None where nothing comes next. ``ready``: it may be proposed."""

    weight: _Percent
    next: _Percent | Literal["champion"] | None
    ready: bool


class ToldEvaluation(EvaluationForm):
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
