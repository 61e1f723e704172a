"""Looks: what a monitor saw in one window of traffic. Of the looks with one id the one that was signed first counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gitml.evidence.findings import Finding, Kind
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.jsontext import canonical
from gitml.refs import NAME
from gitml.verdict import Phase

KIND = "look"
FORMAT: Literal[1] = 1
# One look at the end of each window; a little more than one share is a rounding.
_ALL = 1.001
# A statement holds 700,000 bytes, its binding among them.
MOST_DETAILS = 680_000
_MOST_WINDOWS, _MOST_COLUMNS, _MOST_WORDS = 32, 2000, 20_000
RESULTS: Mapping[Phase, Literal["passed", "failed", "inconclusive"]] = {
    Phase.SUCCESSFUL: "passed",
    Phase.FAILED: "failed",
    Phase.INCONCLUSIVE: "inconclusive",
    Phase.ERROR: "inconclusive",
}

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Part = Literal["quality", "drift", "harm"]
Count = Annotated[int, Field(ge=0)]
_Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LookVerdict(_Form):
    phase: Phase
    reason: Annotated[str, Field(max_length=_MOST_WORDS)]
    measurements: dict[str, Any]


class LookWindow(_Form):
    """A window that the judgement read: its rows, and the digest of their sketch."""

    since: AwareDatetime
    rows: Count
    sketch: Digest


class ToldLook(BaseModel):
    """What ``Monitored.to_dict`` tells. What only the report draws is not looked at."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model: _Name
    environment: _Name
    version: Annotated[str, Field(max_length=100)]
    since: AwareDatetime
    until: AwareDatetime
    at: AwareDatetime
    next_look: AwareDatetime
    scheduled: Literal[True]
    phase: Phase
    verdicts: dict[Part, LookVerdict]
    rows: Count
    looks: Annotated[list[LookWindow], Field(max_length=_MOST_WINDOWS)]
    quality: Annotated[list[dict[str, Any]], Field(max_length=20 * _MOST_COLUMNS)]
    drift: Annotated[list[dict[str, Any]], Field(max_length=_MOST_COLUMNS)]


class LookInputs(_Form):
    """``traffic``: the stretches of rows of the window that were known; ``settings``: all of the configuration that
    verdicts follow from, floors and mutes too."""

    traffic: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    settings: Digest


class Spent(_Form):
    """The looks of a monitor in a year, with this one. ``share``: how much of what the promise covers is used, 1 is all
    of it; a look of daily windows uses less than one of weekly windows."""

    year: int
    looks: Count
    share: Annotated[float, Field(ge=0)]

    @property
    def is_beyond(self) -> bool:
        return self.share > _ALL


class Recount(_Form):
    """An earlier window whose traffic, counted anew as of that look's moment, gave something else."""

    id: Digest
    signed: Digest
    counted: Digest


class LookDetails(_Form):
    """``sketch``: the counts of the window, from which later looks judge when its traffic is gone; None where they are
    of few rows, or too many to carry. ``id`` is made of what decides the counts: model, environment, version, window,
    ``configuration``."""

    format: Literal[1] = FORMAT
    id: Digest
    configuration: Digest
    inputs: LookInputs
    spent: Spent
    look: ToldLook
    sketch: dict[str, Any] | None
    disagrees: Annotated[list[Recount], Field(max_length=_MOST_WINDOWS)] = []

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        look = self.look
        if look.since >= look.until or look.until > look.at:
            raise ValueError("its window does not end after it begins, and before the look")
        if self.id != look_id(look, self.configuration):
            raise ValueError("its id is not that of its window and configuration")
        if self.sketch is not None and (not look.looks or sketch_digest(self.sketch) != look.looks[-1].sketch):
            raise ValueError("its counts are not those that it names")
        return self


def look_id(look: ToldLook, configuration: str) -> str:
    """What a look is known by: every look with it answers the same question."""
    window = [f"{moment.timestamp():.0f}" for moment in (look.since, look.until)]
    return digest_of([look.model, look.environment, look.version, *window, configuration])


def digest_of(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def sketch_digest(form: Mapping[str, Any]) -> str:
    """As ``gitml.sketches.form.sketch_digest``, of a sketch as JSON has it."""
    return digest_of(form)


def spent_after(before: Spent | None, until: datetime, looks_a_year: int) -> Spent:
    """With one more look, at a window that ends ``until``; ``before``: the most that was spent in its year.

    >>> from datetime import UTC
    >>> spent_after(Spent(year=2013, looks=2, share=0.04), datetime(2013, 4, 8, tzinfo=UTC), 50)
    Spent(year=2013, looks=3, share=0.06)
    """
    if before is None or before.year != until.year:
        before = Spent(year=until.year, looks=0, share=0.0)
    return Spent(year=until.year, looks=before.looks + 1, share=round(before.share + 1 / looks_a_year, 6))


@dataclass(frozen=True)
class SignedLook:
    """A believed statement with what it says."""

    said: Believed
    details: LookDetails

    @property
    def id(self) -> str:
        return self.details.id

    @property
    def monitor(self) -> tuple[str, str]:
        """Model and environment."""
        return self.details.look.model, self.details.look.environment

    @property
    def version(self) -> str:
        return self.details.look.version

    @property
    def window(self) -> tuple[datetime, datetime]:
        return self.details.look.since, self.details.look.until

    @cached_property
    def told(self) -> dict[str, Any]:
        """What reports are made from: the look with its ``id``."""
        details = self.said.details
        return {**details["look"], "id": self.id, "spent": details["spent"]}

    @property
    def result(self) -> Mapping[str, Any]:
        """What equal inputs must give again. What labels say depends on the moment; so it is left out."""
        look = self.told
        verdicts = {part: v for part, v in look["verdicts"].items() if part != "harm"}
        counts = look["looks"][-1:]
        return {"verdicts": verdicts, "quality": look["quality"], "drift": look["drift"], "counts": counts}

    @property
    def inputs(self) -> Mapping[str, Any]:
        """All that the result follows from."""
        look = self.told
        beyond = self.details.spent.is_beyond
        return {**self.said.details["inputs"], "before": look["looks"][:-1], "beyond": beyond}


def look_of(said: Believed) -> SignedLook:
    """Raises ValueError for a statement that is no look, or contradicts itself."""
    about = said.binding
    if about is None or about.kind != KIND:
        raise ValueError("is no look")
    try:
        details = LookDetails.model_validate(dict(said.details))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'look'}: {first['msg']}") from None
    look = details.look
    named = (about.model, about.environment, about.version, about.result)
    if named != (look.model, look.environment, look.version, RESULTS[look.phase]):
        raise ValueError("its details speak of something else than its binding")
    if look.at > about.moment + LEEWAY:
        raise ValueError(f"is dated {about.time}, before the look itself")
    return SignedLook(said, details)


@dataclass(frozen=True)
class Looks:
    """The looks that count, by the ends of their windows, and those of the same ids that came later."""

    counting: tuple[SignedLook, ...] = ()
    later: tuple[SignedLook, ...] = ()

    def of(self, model: str, environment: str) -> tuple[SignedLook, ...]:
        return tuple(look for look in self.counting if look.monitor == (model, environment))


def began(part: str, history: Sequence[SignedLook]) -> SignedLook:
    """The first look of those in which a verdict fails, up to the last in which it was well; one that could not tell is
    no end. ``history`` is of one version, oldest first."""
    first = history[-1]
    for look in reversed(history):
        verdict = look.details.look.verdicts.get(part)  # type: ignore[call-overload]
        if verdict is None or verdict.phase is Phase.SUCCESSFUL:
            break
        first = look if verdict.phase is Phase.FAILED else first
    return first


def most_spent(details: Iterable[LookDetails], year: int) -> Spent | None:
    """The most that looks of one monitor say of a year, whatever their version and configuration."""
    found = (one.spent for one in details if one.spent.year == year)
    return max(found, key=lambda spent: (spent.looks, spent.share), default=None)


def looks_of(told: Iterable[Believed]) -> Looks:
    """Of statements that count; one that contradicts itself does not."""
    first: dict[str, SignedLook] = {}
    later = []
    for said in sorted(told, key=_signed):
        try:
            look = look_of(said)
        except ValueError:
            continue
        if first.setdefault(look.id, look) is not look:
            later.append(look)
    return Looks(tuple(sorted(first.values(), key=lambda one: (one.window[1], _signed(one.said)))), tuple(later))


def _signed(said: Believed) -> tuple[datetime, str]:
    return said.time, said.name


def findings(told: Sequence[Believed], lag: timedelta = timedelta(hours=1)) -> Iterator[Finding]:
    """All that is wrong with the looks of a branch; ``told`` in the order in which they came."""
    for said in told:
        if not said:
            yield Finding(said.cause or Cause.UNREADABLE, said.name, said.why_not, said.event.commit)
            continue
        try:
            look = look_of(said)
        except ValueError as exc:
            yield Finding(Cause.UNREADABLE, said.name, f"contradicts itself: {exc}", said.event.commit)
            continue
        for one in look.details.disagrees:
            what = f"says that the traffic of look {one.id[:12]}, counted anew, gives {one.counted[:12]}"
            yield Finding(Kind.LOOK_DISAGREES, said.name, f"{what}, not {one.signed[:12]}", said.event.commit)
    yield from out_of_order(told, lag)
    yield from _again(looks_of(said for said in told if said))


def out_of_order(told: Sequence[Believed], lag: timedelta) -> Iterator[Finding]:
    """Who signs with an earlier date than what is there could make it the first."""
    newest: datetime | None = None
    for said in told:
        if not said:
            continue
        if newest and said.time < newest - lag:
            message = f"is dated {said.time:%Y-%m-%dT%H:%M:%SZ}, but came after a look of {newest:%Y-%m-%dT%H:%M:%SZ}"
            yield Finding(Kind.EVENT_REORDERED, said.name, message, said.event.commit)
        newest = said.time if newest is None else max(newest, said.time)


def _again(looks: Looks) -> Iterator[Finding]:
    first = {look.id: look for look in looks.counting}
    for look in looks.later:
        counts = first[look.id]
        if look.inputs != counts.inputs:
            message = f"corrects {counts.said.name}, on other inputs; that one counts"
            yield Finding(Kind.LOOK_CORRECTED, look.said.name, message, look.said.event.commit)
        elif look.result != counts.result:
            message = f"finds something else than {counts.said.name}, on the same inputs"
            yield Finding(Kind.LOOK_CONTRADICTED, look.said.name, message, look.said.event.commit)
