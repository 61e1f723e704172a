"""What the business saw: KPIs by day as `gitml kpi --json` tells them, and what was signed of changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.evidence.impacts import KIND as IMPACT
from gitml.evidence.impacts import SignedImpact, impacts_of, signed_days
from gitml.evidence.trust import Believed
from gitml.site.facts import SiteKpi
from gitml.site.readchanges import phase_of
from gitml.site.readlooks import dicts, number, text_of
from gitml.site.watchfacts import SiteImpact
from gitml.spec import Application

_MOST_DAYS = 800
_HINT = "gitml kpi --json > kpis.json"


def kpi_days(path: Path) -> Mapping[str, tuple[tuple[str, float], ...]]:
    """KPI → its days and values, of a file that `gitml kpi --json` wrote; days of which nothing is known are left out.

    Raises UsageError for a file that is none.
    """
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path} cannot be read: {exc}", _HINT) from exc
    if not isinstance(told, list):
        raise UsageError(f"{path} is no list of KPIs", _HINT)
    return {text_of(one.get("name")): tuple(_days(one))[-_MOST_DAYS:] for one in dicts(told)}


def signed_kpi_days(told: Iterable[Believed]) -> Mapping[str, tuple[tuple[str, float], ...]]:
    """The same, as far as signed impacts hold the days around changes: no source is read."""
    signed = impacts_of(one for one in told if one and one.kind == IMPACT)
    return {name: tuple(days.items())[-_MOST_DAYS:] for name, days in signed_days(signed).items()}


def _days(told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for day in dicts(told.get("days")):
        if (value := number(day.get("value"))) is not None:
            yield text_of(day.get("day"))[:10], value


def site_kpis(
    application: Application | None, days: Mapping[str, tuple[tuple[str, float], ...]]
) -> tuple[SiteKpi, ...]:
    """In the order of gitml.yaml."""
    declared = application.kpis if application else {}
    return tuple(
        SiteKpi(name, kpi.description, kpi.unit, kpi.better, days.get(name, ())) for name, kpi in declared.items()
    )


def site_impacts(told: Iterable[Believed]) -> tuple[SiteImpact, ...]:
    """Of each change and KPI what was found after the longest time, newest change first."""
    newest: dict[tuple[str, str, str, str], SiteImpact] = {}
    for signed in impacts_of(one for one in told if one and one.kind == IMPACT):
        for impact in _impacts(signed):
            newest[impact.commit, impact.model, impact.environment, impact.kpi] = impact
    return tuple(reversed(newest.values()))


def _impacts(signed: SignedImpact) -> Iterator[SiteImpact]:
    change = signed.change
    for one in dicts(signed.told.get("results")):
        month = one.get("a_month")
        yield SiteImpact(
            model=change.model,
            environment=change.environment,
            commit=change.commit,
            version=change.version,
            kpi=text_of(one.get("kpi")),
            unit=text_of(one.get("unit")),
            days=int(number(one.get("days")) or 0),
            phase=phase_of(one.get("phase")),
            reason=text_of(one.get("reason")),
            before=number(one.get("before")),
            effect=number(one.get("effect")),
            low=number(one.get("low")),
            high=number(one.get("high")),
            a_month=tuple(number(value) or 0.0 for value in month) if isinstance(month, list) else (),
            currency=text_of(one.get("currency")),
        )
