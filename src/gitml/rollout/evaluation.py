"""What one judgement of a candidate beside its champion says: the same inputs give the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from gitml.jsontext import plain
from gitml.verdict import Phase, Verdict

Mode = Literal["replay", "shadow", "split"]
PartKind = Literal["integrity", "traffic", "ratio", "guardrail", "disagreement", "primary", "kpi"]
MOST_POINTS = 60


@dataclass(frozen=True)
class Contender:
    """A version, and the SHA-256 of its artifact."""

    version: str
    artifact: str


@dataclass(frozen=True)
class ArmCounts:
    """A number of each arm; None where there is none to be had."""

    champion: int | None = None
    candidate: int | None = None


@dataclass(frozen=True)
class ArmShares:
    """A share of each arm, from 0 to 1; None where there is none to be had."""

    champion: float | None = None
    candidate: float | None = None


@dataclass(frozen=True)
class StillNeeded:
    """``units`` (of both arms together) that are needed before this can be decided, and about how many ``days`` that
    takes at the present rate; None where no rate is known."""

    units: int
    days: float | None = None

    def __str__(self) -> str:
        return f"~{self.units:,} units" + ("" if self.days is None else f", {_days(self.days)}")


@dataclass(frozen=True)
class JudgedPart:
    """One thing that was judged. ``difference`` is candidate − champion in the metric's unit, within ``low`` and
    ``high`` by an always-valid confidence sequence (an open side is None); ``margin`` is the difference that it is held
    against: below zero where more is better, 0 where the candidate must be better.
    ``n``: units that were compared. ``events``: how many of them are positives, failures or the like."""

    part: PartKind
    name: str
    phase: Phase
    reason: str
    champion: float | None = None
    candidate: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    n: ArmCounts = ArmCounts()
    events: ArmCounts = ArmCounts()
    needed: StillNeeded | None = None


@dataclass(frozen=True)
class WeightEpoch:
    """A time in which the routing was one: percent of the units that the candidate is drawn for, and units seen."""

    weight: float
    since: datetime
    until: datetime
    units: ArmCounts = ArmCounts()


@dataclass(frozen=True)
class LabelState:
    """``coverage``: share of matured rows whose label has come. ``delay_days``: the median time that one took."""

    coverage: ArmShares = ArmShares()
    delay_days: float | None = None


@dataclass(frozen=True)
class SequencePoint:
    """The confidence sequence of the primary part, as it was at a moment."""

    at: datetime
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class WeightStep:
    """``weight``: percent now. ``next``: the next percent, "champion", or None where nothing follows. ``ready``: the
    guardrails pass at this step's minimum."""

    weight: float
    next: float | Literal["champion"] | None
    ready: bool


@dataclass(frozen=True)
class Evaluation:
    """``rules``: SHA-256 of all that decides the test. ``since``: the moment at which main first had this candidate
    beside this champion under these rules; ``until``: the rows up to it were judged; ``ends``: the test expires.
    ``scheduled``: it was made for a moment of the schedule. ``notes`` are what a reader should know of how it was
    counted. At most ``MOST_POINTS`` are in ``series``."""

    model: str
    environment: str
    mode: Mode
    candidate: Contender
    champion: Contender
    rules: str
    since: datetime
    until: datetime
    at: datetime
    phase: Phase
    reason: str
    parts: tuple[JudgedPart, ...] = ()
    epochs: tuple[WeightEpoch, ...] = ()
    labels: LabelState = field(default_factory=LabelState)
    series: tuple[SequencePoint, ...] = ()
    step: WeightStep = WeightStep(0, None, ready=False)
    scheduled: bool = False
    next_look: datetime | None = None
    ends: datetime | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The judgement as everything else that judges gives it; measurements of the part that is judged on."""
        primary = self.primary
        names = ("champion", "candidate", "difference", "low", "high", "margin")
        told = {name: value for name in names if (value := getattr(primary, name, None)) is not None}
        return Verdict(self.phase, self.reason, told)

    @property
    def primary(self) -> JudgedPart | None:
        """The part that decides whether the candidate is good; None where the judgement did not come so far."""
        return next((part for part in self.parts if part.part in ("primary", "kpi")), None)

    def to_dict(self) -> dict[str, Any]:
        """What is signed: texts, finite numbers and nulls, times in UTC."""
        names = self.__dataclass_fields__
        return {name: plain(_utc(getattr(self, name))) for name in names}


def _utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, tuple):
        return [_utc(one) for one in value]
    if isinstance(value, (WeightEpoch, SequencePoint)):
        return {name: _utc(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def utc_text(moment: datetime) -> str:
    """
    >>> utc_text(datetime(2026, 3, 1, 12, tzinfo=UTC))
    '2026-03-01T12:00:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _days(days: float) -> str:
    if days < 1:
        return f"{max(1, round(days * 24))} hours"
    return f"{days:.0f} days" if days >= 1.5 else "1 day"
