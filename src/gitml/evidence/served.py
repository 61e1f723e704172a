"""What a server did in an hour, as its agent signed it: requests by version, how long they took, CPU and memory.

Told on pages and asked for by no gate. The numbers of requests are the word of the process that answers them; the agent
holds only the versions against what it ordered, and measures the process from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gitml.evidence.findings import Finding, Kind
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.refs import NAME, VERSION

KIND = "served"
MOST_COUNTS = 300
_MOST_BOUNDS = 60
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]
_Amount = Annotated[float, Field(ge=0, lt=1e15)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VersionTraffic(_Form):
    """Requests that one version answered. ``errors``: by its own fault (5xx); ``refused``: by the caller's (4xx).

    ``buckets``: answers by their time, up to each of the statement's ``bounds`` and above the last.
    """

    model: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    version: Annotated[str, Field(pattern=f"^{VERSION.pattern}$")]
    variant: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    rows: _Count
    errors: _Count
    refused: _Count
    buckets: Annotated[tuple[_Count, ...], Field(max_length=_MOST_BOUNDS + 1)]

    @property
    def requests(self) -> int:
        return sum(self.buckets) + self.errors + self.refused


class ServedDetails(_Form):
    """A stretch of one agent's time. Seconds: ``watched`` is how long it looked at its server by a clock that nobody
    turns, ``up`` how long of that the server answered, ``cpu`` what it used of processors; ``memory``: the most bytes.

    ``bounds``: of the buckets, in seconds, rising.
    """

    format: Literal[1] = 1
    agent: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,100}$")]
    since: AwareDatetime
    until: AwareDatetime
    watched: _Amount
    up: _Amount
    restarts: _Count
    cpu: _Amount
    memory: _Count
    bounds: Annotated[tuple[_Amount, ...], Field(min_length=1, max_length=_MOST_BOUNDS)]
    counts: Annotated[tuple[VersionTraffic, ...], Field(max_length=MOST_COUNTS)]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.since >= self.until:
            raise ValueError("it does not end after it begins")
        if self.up > self.watched:
            raise ValueError("its server answered longer than it was looked at")
        if list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError("its bounds do not rise")
        if any(len(one.buckets) != len(self.bounds) + 1 for one in self.counts):
            raise ValueError("its buckets are not those of its bounds")
        return self


def meant_served(details: Mapping[str, Any]) -> ServedDetails:
    """Raises ValueError in plain words."""
    try:
        return ServedDetails.model_validate(dict(details))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'served'}: {first['msg']}") from None


@dataclass(frozen=True)
class SignedHour:
    """A believed statement with what it says."""

    said: Believed
    details: ServedDetails
    environment: str


def served_hours(told: Iterable[Believed]) -> tuple[SignedHour, ...]:
    """Of statements that count, by the end of their stretch; one that contradicts itself does not."""
    found = []
    for said in told:
        about = said.binding
        if not said or about is None or about.kind != KIND:
            continue
        try:
            details = meant_served(said.details)
        except ValueError:
            continue
        if details.until <= about.moment + LEEWAY:
            found.append(SignedHour(said, details, about.environment))
    return tuple(sorted(found, key=lambda one: (one.details.until, one.said.name)))


def hour_findings(told: Iterable[Believed]) -> Iterator[Finding]:
    """What does not count, and what one agent told twice of the same time, and differently.

    Hours of which nothing was told are no finding: a server that stood still and one whose word was kept back look
    alike. The site shows them as gaps.
    """
    every = list(told)
    for one in every:
        if not one and one.cause:
            yield Finding(one.cause, one.name, one.why_not, one.event.commit)
    hours = served_hours(every)
    counted = {hour.said.name for hour in hours}
    for one in every:
        if one and one.name not in counted:
            yield Finding(Cause.UNREADABLE, one.name, "is no account of an hour that holds together", one.event.commit)
    newest: dict[tuple[str, str], SignedHour] = {}
    for hour in sorted(hours, key=lambda one: (one.details.since, one.said.name)):
        who = (hour.environment, hour.details.agent)
        before = newest.get(who)
        if before and hour.details.since < before.details.until and hour.details != before.details:
            message = f"tells of time that {before.said.name} tells of too: two agents of one name, or one that lied"
            yield Finding(Kind.HOUR_CONTRADICTED, hour.said.name, message, hour.said.event.commit)
        if before is None or hour.details.until > before.details.until:
            newest[who] = hour


def bucket_quantile(bounds: Sequence[float], buckets: Sequence[int], share: float) -> float | None:
    """The time within which ``share`` (0 to 1) of the answers came, in seconds, as Prometheus's histogram_quantile
    has it: on a line inside its bucket. None without an answer; what lies above the last bound is told as that.

    >>> bucket_quantile([0.01, 0.05], [50, 50, 0], 0.75), bucket_quantile([0.01], [0, 3], 0.5)
    (0.03, 0.01)
    """
    sums = list(accumulate(buckets))
    if not sums or not sums[-1]:
        return None
    wanted = share * sums[-1]
    place = next(n for n, total in enumerate(sums) if total >= wanted and buckets[n])
    if place >= len(bounds):
        return float(bounds[-1])
    low = bounds[place - 1] if place else 0.0
    inside = (wanted - (sums[place] - buckets[place])) / buckets[place]
    return float(low + (bounds[place] - low) * inside)
