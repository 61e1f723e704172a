"""What one look of a monitor found, as data and as JSON that is equal for equal inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from gitml.jsontext import plain
from gitml.monitoring.detectors.detector import Detection
from gitml.monitoring.drift.judge import ColumnDrift
from gitml.monitoring.drift.looks import windowed
from gitml.monitoring.drift.scan import Effect
from gitml.monitoring.drift.shapes import Bar, shape
from gitml.monitoring.harm.judge import Performance
from gitml.monitoring.harm.performance import PerformanceReport, WindowPerformance
from gitml.monitoring.outliers.rate import OutlierRate
from gitml.monitoring.promise import Promise
from gitml.monitoring.quality import Breach
from gitml.monitoring.reference import FEATURE, OUTPUT, VersionReference
from gitml.monitoring.subject import Look
from gitml.sketches.coarse import coarse
from gitml.sketches.form import sketch_digest
from gitml.sketches.reference import reference_digest
from gitml.traffic.marks import Completeness
from gitml.verdict import Phase, Verdict, worst

# Sums of floats differ in their last digits from machine to machine.
_DIGITS = 6
# Of so many columns the whole distribution is told, the worst first.
_SHAPES = 3


@dataclass(frozen=True)
class Mute:
    """Columns that do not alarm until then, as ``line`` of gitml.yaml says; ``over``: no longer."""

    columns: tuple[str, ...]
    until: datetime
    reason: str
    line: int
    over: bool


@dataclass(frozen=True)
class Concerned:
    """Whom an alarm concerns: logins and teams of the forge."""

    people: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Monitored:
    """One model in one environment. ``verdicts`` by `quality`, `drift`, `harm`, without those that are turned off;
    ``looks`` are the windows that were read, newest last. ``scheduled``: the window is one of the schedule, to which
    the promise applies. ``later``: why this is not for good, and to be looked at again: rows are on their way, or
    something is out of reach. ``unread``: why windows before are left out."""

    model: str
    environment: str
    version: str
    since: datetime
    until: datetime
    at: datetime
    scheduled: bool
    promise: Promise
    next_look: datetime
    years: int
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    completeness: Completeness | None = None
    looks: tuple[Look, ...] = ()
    reference: VersionReference | None = None
    breaches: tuple[Breach, ...] = ()
    columns: tuple[ColumnDrift, ...] = ()
    detections: tuple[Detection, ...] = ()
    outliers: OutlierRate | None = None
    performance: Performance | None = None
    report: PerformanceReport | None = None
    later: str = ""
    mutes: tuple[Mute, ...] = ()
    tell: Concerned = Concerned()
    unread: str = ""

    @property
    def phase(self) -> Phase:
        return worst(self.verdicts.values())

    @property
    def rows(self) -> int:
        """Of the window itself."""
        return int(self.looks[-1].sketch.rows.sum()) if self.looks else 0

    @property
    def rows_of_looks(self) -> int:
        return sum(int(look.sketch.rows.sum()) for look in self.looks)

    def to_dict(self) -> dict[str, Any]:
        own = self.reference.own if self.reference else None
        told = {
            "model": self.model,
            "environment": self.environment,
            "version": self.version,
            "since": _moment(self.since),
            "until": _moment(self.until),
            "at": _moment(self.at),
            "scheduled": self.scheduled,
            "next_look": _moment(self.next_look),
            "phase": self.phase,
            "verdicts": {name: asdict(verdict) for name, verdict in self.verdicts.items()},
            "complete": self.completeness and self.completeness.state,
            "rows": self.rows,
            "unread": self.unread,
            "looks": [
                {
                    "since": _moment(look.since),
                    "rows": int(look.sketch.rows.sum()),
                    "sketch": sketch_digest(coarse(look.sketch)),
                }
                for look in self.looks
            ],
            "promise": {**asdict(self.promise), "years": self.years},
            "reference": [reference_digest(part) for part in self.reference.parts] if self.reference else [],
            "own_periods": own and asdict(own),
            "quality": [{**asdict(breach), "since": _moment(breach.since)} for breach in self.breaches],
            "drift": [_column(column) for column in self.columns],
            "detectors": [{**asdict(found), "alarms": found.alarms} for found in self.detections],
            "outliers": self.outliers and _outliers(self.outliers),
            "harm": self.performance and asdict(self.performance),
            "performance": self.report and _performance(self.report),
            "shapes": list(self._shapes()),
            "mutes": [{**asdict(mute), "until": _moment(mute.until)} for mute in self.mutes],
            "tell": asdict(self.tell),
        }
        return dict(_rounded(plain(told)))

    def _shapes(self) -> Iterator[dict[str, Any]]:
        windows, parts = windowed([look.sketch for look in self.looks]), self.reference.parts if self.reference else ()
        worst_first = sorted(self.columns, key=lambda column: not column.drifted or bool(column.muted))
        for column in [column for column in worst_first if column.worst][:_SHAPES]:
            name = f"{OUTPUT if column.output else FEATURE}{column.column}"
            window = column.worst.window if column.worst else 1
            for part in (part for part in parts if name in part.layout.columns):
                sides = part.sketch.columns[name], windows[window].columns[name]
                bars = shape(part.layout.columns[name], *sides)
                yield {"column": column.column, "looks": window, "bars": [_bar(bar) for bar in bars]}


def _column(column: ColumnDrift) -> dict[str, Any]:
    return {
        "column": column.column,
        "output": column.output,
        "drifted": column.drifted,
        "values": _effect(column.effect),
        "missing": _effect(column.missing),
        "rows_needed": column.needed,
        "floor_within_reach": column.reachable,
        "moved": column.shown,
        "movement": asdict(column.moved),
        "psi": column.psi and asdict(column.psi),
        "muted": column.muted,
    }


def _bar(bar: Bar) -> dict[str, Any]:
    return {name: value for name, value in asdict(bar).items() if value is not None}


def _outliers(rate: OutlierRate) -> dict[str, Any]:
    rows = [{"request_id": one.request_id, "row": one.row} for one in rate.strangest]
    return {**asdict(rate), "drifted": rate.drifted, "effect": _effect(rate.effect), "strangest": rows}


def _performance(report: PerformanceReport) -> dict[str, Any]:
    return {**asdict(report), "series": [_window_performance(point) for point in report.series]}


def _window_performance(point: WindowPerformance) -> dict[str, Any]:
    estimated = [{**asdict(one), "told": one.told} for one in point.estimated]
    return {**asdict(point), "since": _moment(point.since), "until": _moment(point.until), "estimated": estimated}


def _effect(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    told = asdict(effect)
    return {name: value for name, value in told.items() if name not in ("column", "of")}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
