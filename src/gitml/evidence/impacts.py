"""What KPIs did after a change of what serves, as it was signed: told on pull requests, and asked for by no gate.

Of the statements with one id the one that was signed first counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gitml.evidence.findings import Finding
from gitml.evidence.looks import RESULTS, Digest, digest_of
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.refs import NAME, VERSION
from gitml.verdict import Phase

KIND = "impact"
_MOST_RESULTS, _MOST_DAYS, _MOST_WORDS = 600, 200, 20_000
_Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
_Version = Annotated[str, Field(pattern=f"^{VERSION.pattern}$")]
_Oid = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ToldChange(_Form):
    moment: AwareDatetime
    model: _Name
    environment: _Name
    kind: Literal["promotion", "rollback", "canary"]
    version: _Version
    before: Annotated[str, Field(pattern=f"^({VERSION.pattern})?$")]
    commit: _Oid
    pull: Annotated[int, Field(ge=1)] | None

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells one change from others."""
        return self.commit, self.model, self.environment


class ToldResult(BaseModel):
    """Of one KPI at one horizon, with the days that were compared. What only the report draws is not looked at."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    kpi: _Name
    days: Annotated[int, Field(ge=1, le=366)]
    phase: Phase
    reason: Annotated[str, Field(max_length=_MOST_WORDS)]
    points: Annotated[list[tuple[date, float | None]], Field(max_length=_MOST_DAYS)] = []


class ToldImpact(BaseModel):
    """What ``ChangeImpact`` tells."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    change: ToldChange
    results: Annotated[list[ToldResult], Field(min_length=1, max_length=_MOST_RESULTS)]


class ImpactDetails(_Form):
    """``days``: the horizon; ``configuration``: the digest of the KPIs and prices; ``at``: what is known of then."""

    format: Literal[1] = 1
    id: Digest
    configuration: Digest
    days: Annotated[int, Field(ge=1, le=366)]
    at: AwareDatetime
    impact: ToldImpact

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.id != impact_id(self.impact.change.name, self.days):
            raise ValueError("its id is not that of its change and days")
        if max(one.days for one in self.impact.results) != self.days:
            raise ValueError("its results are of other days")
        return self

    @property
    def phase(self) -> Phase:
        """Of its own days: failed where any KPI is worse, successful where one is better and none worse."""
        phases = [one.phase for one in self.impact.results if one.days == self.days]
        return next((p for p in (Phase.FAILED, Phase.SUCCESSFUL) if p in phases), Phase.INCONCLUSIVE)


def impact_id(change: tuple[str, str, str], days: int) -> str:
    """What it is known by: the same question, however it was configured."""
    return digest_of([*change, days])


def impact_details(told: Mapping[str, Any], days: int, configuration: str, at: datetime) -> dict[str, Any]:
    """What is signed. Raises ValueError for what cannot be."""
    change = told["change"]
    name = (str(change["commit"]), str(change["model"]), str(change["environment"]))
    moment = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    found = {
        "format": 1,
        "id": impact_id(name, days),
        "configuration": configuration,
        "days": days,
        "at": moment,
        "impact": dict(told),
    }
    meant_impact(found)
    return found


def meant_impact(details: Mapping[str, Any]) -> ImpactDetails:
    """Raises ValueError in plain words."""
    try:
        return ImpactDetails.model_validate(dict(details))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'impact'}: {first['msg']}") from None


@dataclass(frozen=True)
class SignedImpact:
    """A believed statement with what it says."""

    said: Believed
    details: ImpactDetails

    @property
    def told(self) -> Mapping[str, Any]:
        """As it was signed, for reports."""
        found: Mapping[str, Any] = self.said.details["impact"]
        return found

    @property
    def change(self) -> ToldChange:
        return self.details.impact.change


def impact_of(said: Believed) -> SignedImpact:
    """Raises ValueError for a statement that is none, or contradicts itself."""
    about = said.binding
    if about is None or about.kind != KIND:
        raise ValueError("is no impact")
    details = meant_impact(said.details)
    change = details.impact.change
    named = (about.model, about.environment, about.version, about.result)
    if named != (change.model, change.environment, change.version, RESULTS[details.phase]):
        raise ValueError("its details speak of something else than its binding")
    if details.at > about.moment + LEEWAY:
        raise ValueError(f"is dated {about.time}, before the look itself")
    return SignedImpact(said, details)


def impacts_of(told: Iterable[Believed]) -> tuple[SignedImpact, ...]:
    """Of statements that count, by change and days; one that contradicts itself does not."""
    first: dict[str, SignedImpact] = {}
    for said in sorted(told, key=lambda one: (one.time, one.name)):
        try:
            one = impact_of(said)
        except ValueError:
            continue
        first.setdefault(one.details.id, one)
    return tuple(sorted(first.values(), key=lambda one: (one.change.moment, one.change.name, one.details.days)))


def signed_days(signed: Iterable[SignedImpact]) -> Mapping[str, Mapping[str, float]]:
    """By KPI the days that were compared, with their values, as the newest statement has each: for pages, which read no
    source."""
    found: dict[str, dict[str, float]] = {}
    for one in sorted(signed, key=lambda impact: impact.details.at):
        for result in one.told["results"]:
            days = found.setdefault(str(result["kpi"]), {})
            days.update({str(day): float(value) for day, value in result.get("points") or () if value is not None})
    return {name: dict(sorted(days.items())) for name, days in found.items() if days}


def findings(told: Sequence[Believed]) -> Iterator[Finding]:
    """Those of a branch that count and contradict themselves."""
    for said in told:
        try:
            impact_of(said)
        except ValueError as exc:
            yield Finding(Cause.UNREADABLE, said.name, f"contradicts itself: {exc}", said.event.commit)
