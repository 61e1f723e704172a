"""Whom a model selected in one window, by category, as it was signed: counts and ratios, and nothing of a person.

Of the statements with one id the one that was signed first counts. The first of a configuration is what later ones are
held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gitml.evidence.findings import Finding
from gitml.evidence.looks import RESULTS, Digest, digest_of
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.refs import NAME
from gitml.verdict import Phase

KIND = "bias"
_MOST_CATEGORIES, _MOST_MEASURES, _MOST_WORDS = 500, 2000, 2000
_Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
_Words = Annotated[str, Field(max_length=_MOST_WORDS)]
_Share = Annotated[float, Field(ge=0)] | None


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ToldCategory(_Form):
    """As ``category_row`` of the bias facts: None where it is hidden, or cannot be told."""

    category: Annotated[list[_Words], Field(min_length=1, max_length=2)]
    people: Annotated[int, Field(ge=0)] | None
    selected: Annotated[int, Field(ge=0)] | None
    rate: _Share
    rate_low: _Share
    rate_high: _Share
    impact_ratio: _Share
    ratio_low: _Share
    ratio_high: _Share
    note: _Words


class ToldTable(_Form):
    title: _Words
    unknown: Annotated[int, Field(ge=0)]
    categories: Annotated[list[ToldCategory], Field(max_length=_MOST_CATEGORIES)]


class ToldCount(BaseModel):
    """What ``BiasCount`` tells. What only the page shows is not looked at."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    model: _Name
    kind: Literal["selection", "scoring"]
    people: Annotated[int, Field(ge=0)]
    tables: Annotated[list[ToldTable], Field(max_length=3)]
    measures: Annotated[list[dict[str, Any]], Field(max_length=_MOST_MEASURES)] = []


class BiasDetails(_Form):
    """``configuration``: the digest of all that decides the counts but the people; ``version``: the champion at the end
    of the window. ``against``: the id of the first count of the configuration, empty for that itself."""

    format: Literal[1] = 1
    id: Digest
    configuration: Digest
    environment: _Name
    version: Annotated[str, Field(max_length=100)]
    since: AwareDatetime
    until: AwareDatetime
    at: AwareDatetime
    against: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    phase: Phase
    reason: _Words
    count: ToldCount

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.id != bias_id(self.count.model, self.environment, self.configuration, self.until):
            raise ValueError("its id is not that of its window")
        if not self.since < self.until <= self.at:
            raise ValueError("its window is not over")
        return self

    @property
    def monitor(self) -> tuple[str, str, str]:
        """What it is compared within."""
        return self.count.model, self.environment, self.configuration


def bias_id(model: str, environment: str, configuration: str, until: datetime) -> str:
    return digest_of([model, environment, configuration, f"{until:%Y-%m-%dT%H:%M:%SZ}"])


@dataclass(frozen=True)
class SignedBias:
    """A believed statement with what it says; ``told`` is the count as it was signed."""

    said: Believed
    details: BiasDetails

    @property
    def told(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.said.details["count"]
        return found


def bias_of(said: Believed) -> SignedBias:
    """Raises ValueError for a statement that is none, or contradicts itself."""
    about = said.binding
    if about is None or about.kind != KIND:
        raise ValueError("is no count of selections")
    try:
        details = BiasDetails.model_validate(dict(said.details))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'bias'}: {first['msg']}") from None
    named = (about.model, about.environment, about.version, about.result)
    if named != (details.count.model, details.environment, details.version, RESULTS[details.phase]):
        raise ValueError("its details speak of something else than its binding")
    if details.at > about.moment + LEEWAY:
        raise ValueError(f"is dated {about.time}, before the count itself")
    return SignedBias(said, details)


def biases_of(told: Iterable[Believed]) -> tuple[SignedBias, ...]:
    """Of statements that count, by the end of their windows; one that contradicts itself does not."""
    first: dict[str, SignedBias] = {}
    for said in sorted(told, key=lambda one: (one.time, one.name)):
        try:
            one = bias_of(said)
        except ValueError:
            continue
        first.setdefault(one.details.id, one)
    return tuple(sorted(first.values(), key=lambda one: (one.details.until, one.details.id)))


def findings(told: Sequence[Believed]) -> Iterator[Finding]:
    """Those of a branch that count and contradict themselves."""
    for said in told:
        try:
            bias_of(said)
        except ValueError as exc:
            yield Finding(Cause.UNREADABLE, said.name, f"contradicts itself: {exc}", said.event.commit)
