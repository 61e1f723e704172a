"""``gitml kpi``: KPIs of gitml.yaml by day, as this machine can read their sources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gitml import clock, spec
from gitml.control.ledger import Here
from gitml.errors import GitmlError, UsageError
from gitml.spec.application import Application
from gitml.spec.kpis import Kpi
from gitml.spec.validate import nearest
from gitml.success.facts import FactPlace
from gitml.success.series import KpiSeries, SeriesSpan, all_series

_USUAL = timedelta(days=30)


@dataclass(frozen=True)
class KpiCall:
    """``name``: '' for all. ``environment``: only those of one. Without ``at`` all that is there now is known."""

    traffic: str = ""
    spool: Path | None = None
    name: str = ""
    environment: str = ""
    since: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None

    @property
    def span(self) -> SeriesSpan:
        at = self.at or clock.now()
        until = self.until or at
        return SeriesSpan(self.since or until - _USUAL, until, at, repeats=self.at is not None)


def kpis(root: Path, call: KpiCall) -> tuple[KpiSeries, ...]:
    """The series of each KPI that is asked for; one that cannot be read says so.

    Raises UsageError for a name or environment that is not there, and for a warehouse's query that main does not have.
    """
    app = spec.load_application(root)
    chosen = chosen_kpis(root, app, call.name, call.environment)
    refuse_unmerged(Here(root, os.environ), chosen)
    return all_series(FactPlace(root, call.traffic, call.spool, os.environ), chosen, call.span)


def chosen_kpis(root: Path, app: Application, name: str, environment: str) -> Mapping[str, Kpi]:
    if not app.kpis:
        raise UsageError("gitml.yaml has no KPI", "add one under `kpis`: what it is made of, and which way is better")
    if name and name not in app.kpis:
        raise UsageError(f"there is no KPI {name}", nearest(name, app.kpis) or f"gitml.yaml has {', '.join(app.kpis)}")
    last = last_environment(root)
    found = {
        one: kpi
        for one, kpi in app.kpis.items()
        if (not name or one == name) and (not environment or (kpi.environment or last) == environment)
    }
    if not found:
        raise UsageError(f"no KPI is of {environment}", "see `environment` of `kpis` in gitml.yaml")
    return found


def last_environment(root: Path) -> str:
    """That of policy.yaml to which promotions lead; '' where it names none."""
    path = root / spec.policy.POLICY
    policy = spec.parse_policy(path.read_bytes()) if path.is_file() else None
    return [*policy.environments][-1] if policy and policy.environments else ""


def refuse_unmerged(here: Here, kpis: Mapping[str, Kpi]) -> None:
    """A branch's query could ask a warehouse for anything: only one that main has is sent."""
    asked = {name: kpi.sql for name, kpi in kpis.items() if kpi.sql and kpi.sql.warehouse}
    if not asked:
        return
    try:
        merged = here.main.application().kpis
    except GitmlError as exc:
        raise UsageError(f"whether main asks the warehouse so cannot be told: {exc.message}", exc.hint) from exc
    for name, query in asked.items():
        if name not in merged or merged[name].sql != query:
            raise UsageError(
                f"main does not have this query of the KPI {name}",
                "a warehouse is asked only what main asks: merge it first, and `git fetch origin`",
            )
