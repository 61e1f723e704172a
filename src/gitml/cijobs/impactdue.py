"""Which impacts are due: a change whose days are over and mature, without a signed statement. From main and ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitml.control.mainline import Mainline
from gitml.control.served import served_changes
from gitml.evidence.impacts import SignedImpact, ToldChange, impact_id
from gitml.evidence.looks import digest_of
from gitml.evidence.trust import Believed
from gitml.spec.application import Application
from gitml.success.changes import ServedChange
from gitml.success.impact import HORIZONS
from gitml.success.looking import BusinessView

# A source that is out of reach for longer is not waited for; nor is history gone through when a KPI is new.
WAITS = timedelta(days=14)
# The last horizon, what is late, and the time that is waited: older statements decide nothing.
OLDEST = timedelta(days=90)


@dataclass(frozen=True)
class DueImpact:
    change: ServedChange
    days: int


def view_of(main: Mainline, told: Iterable[Believed], at: datetime) -> BusinessView | None:
    """None where main has no KPI, so that nothing is ever due."""
    app = main.application()
    environments = [*main.policy().environments]
    if not app.kpis or not environments:
        return None
    return BusinessView(app, environments[-1], served_changes(told, main), at)


def configuration_of(app: Application) -> str:
    """The digest of all that decides what is said of a change, but for the facts."""
    kpis = {name: kpi.model_dump(mode="json") for name, kpi in app.kpis.items()}
    return digest_of([kpis, app.costs.model_dump(mode="json") if app.costs else None])


def due_impacts(view: BusinessView, signed: Iterable[SignedImpact]) -> tuple[DueImpact, ...]:
    """Oldest first, and of one change the shortest days."""
    known = {one.details.id for one in signed}
    return tuple(one for end, one in _ends(view) if _is_open(one, known) and end <= view.at <= end + WAITS)


def next_impact(view: BusinessView | None, signed: Iterable[SignedImpact]) -> datetime:
    """When something is due next: at once while something waits."""
    known = {one.details.id for one in signed}
    found = _ends(view) if view else []
    ends = [max(end, view.at) for end, one in found if view and _is_open(one, known) and view.at <= end + WAITS]
    return min(ends, default=datetime.max.replace(tzinfo=UTC))


def name_of(change: ServedChange | ToldChange) -> tuple[str, str, str]:
    return change.commit, change.model, change.environment


def _is_open(one: DueImpact, known: set[str]) -> bool:
    return impact_id(name_of(one.change), one.days) not in known


def _ends(view: BusinessView) -> list[tuple[datetime, DueImpact]]:
    """When the last of the KPIs is mature."""
    return [
        (max(view.end(change, kpi, days) for kpi in kpis.values()), DueImpact(change, days))
        for change in view.served
        if (kpis := view.kpis_of(change))
        for days in HORIZONS
    ]
