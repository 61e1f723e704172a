"""What makes a retraining due: typed, each with what shows it. From looks, versions and data; no clock, no forge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gitml.evidence.looks import LookDetails
from gitml.registry.erasures import Erasure
from gitml.spec.application import Direction
from gitml.spec.retrain import LOOK_CAUSES, RetrainLooks, RetrainSpec
from gitml.verdict import Phase

BY_HAND, STALE = "by-hand", "stale"
# A look that is older says nothing of today: two windows, and time for a host that was late.
_LATE = timedelta(days=2)
_VERSION_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class TrainingCause:
    """``looks`` are the events of the looks that show it, oldest first, and ``shows`` says the same in numbers.

    ``stands``: it is enough to open something; what is weaker only keeps open what is open.
    """

    kind: str
    model: str
    since: datetime
    reason: str
    environment: str = ""
    looks: tuple[str, ...] = ()
    shows: Mapping[str, Any] = field(default_factory=dict)
    stands: bool = True


@dataclass(frozen=True)
class WatchedVersion:
    """A champion, and how long a window of its monitor is."""

    model: str
    environment: str
    version: str
    window: timedelta

    def is_new(self, until: datetime, at: datetime) -> bool:
        """Whether a look at the window that ended ``until`` says anything of the model ``at`` this moment."""
        return until <= at <= until + 2 * self.window + _LATE


@dataclass(frozen=True)
class NamedLook:
    """A look by the name of its event; ``signed``: when."""

    name: str
    signed: datetime
    details: LookDetails


@dataclass(frozen=True)
class DataChange:
    """A file that changed since the newest version came; sizes are of the data behind it, ``since`` main's time."""

    path: str
    before: int
    size: int
    since: datetime

    @property
    def growth(self) -> float:
        return (self.size - self.before) / self.before if self.before else float("inf")


@dataclass(frozen=True)
class UpstreamChange:
    """A model that this one reads the answers of: ``trained_with`` is the version that the newest version of this one
    was trained or approved with, ``runs`` what answers in ``environment`` now, ``since`` when."""

    upstream: str
    environment: str
    trained_with: str
    runs: str
    since: datetime


def version_time(version: str) -> datetime:
    """When a version was made, as its name says.

    >>> version_time("20260201T000300Z-3f2a90bc")
    datetime.datetime(2026, 2, 1, 0, 3, tzinfo=datetime.timezone.utc)
    """
    return datetime.strptime(version.partition("-")[0], _VERSION_TIME).replace(tzinfo=UTC)


def by_looks(
    spec: RetrainSpec,
    rules: RetrainLooks,
    better: Mapping[str, Direction],
    watched: WatchedVersion,
    looks: Sequence[NamedLook],
    at: datetime,
) -> Iterator[TrainingCause]:
    """Causes that the looks at a champion show, of which one at least failed among the last that the rules count.

    When looks stop their causes stand no more, and they are not gone either.
    """
    mine = looks_at(watched, looks)
    is_new = bool(mine) and watched.is_new(mine[-1].details.look.until, at)
    for kind in (kind for kind in LOOK_CAUSES if kind in spec.causes):
        failed = [(one, said) for one in mine[-rules.of :] if (said := failure(kind, one.details, better))]
        if failed:
            newest, (reason, shows) = failed[-1]
            many = f"{len(failed)} of the last {min(rules.of, len(mine))} looks"
            yield TrainingCause(
                kind, watched.model, _since(kind, mine, better), f"{many} in {watched.environment}: {reason}",
                watched.environment, tuple(one.name for one, _ in failed),
                {**shows, "until": newest.details.look.until, "version": watched.version},
                stands=is_new and len(failed) >= rules.failed,
            )  # fmt: skip


def looks_at(watched: WatchedVersion, looks: Sequence[NamedLook]) -> tuple[NamedLook, ...]:
    """Those at this champion, one for each window, oldest first."""
    found: dict[datetime, NamedLook] = {}
    for one in looks:
        look = one.details.look
        if (look.model, look.environment, look.version) == (watched.model, watched.environment, watched.version):
            found.setdefault(look.until, one)
    return tuple(found[until] for until in sorted(found))


def _since(kind: str, mine: Sequence[NamedLook], better: Mapping[str, Direction]) -> datetime:
    """The beginning of the newest alarm: of the first window that failed, back to two that were well in a row. One that
    was well is a flap of the same alarm, and one that cannot be told is no end."""
    fails = [bool(failure(kind, one.details, better)) for one in mine]
    first = max(number for number, failed in enumerate(fails) if failed)
    for number in range(first - 1, -1, -1):
        if fails[number]:
            first = number
        elif _is_well(kind, mine[number].details) and not any(fails[max(0, number - 1) : number]):
            break
    return mine[first].details.look.since


def _is_well(kind: str, details: LookDetails) -> bool:
    verdict = details.look.verdicts.get("harm" if kind == "performance" else kind)  # type: ignore[call-overload]
    return verdict is not None and verdict.phase is Phase.SUCCESSFUL


def failure(kind: str, details: LookDetails, better: Mapping[str, Direction]) -> tuple[str, Mapping[str, Any]] | None:
    """Why a look fails for this cause, and the numbers; None where it does not."""
    if kind == "performance":
        return next(_worse(details.look.model_extra or {}, better), None)
    verdict = details.look.verdicts.get(kind)  # type: ignore[call-overload]
    if verdict is None or verdict.phase is not Phase.FAILED:
        return None
    return verdict.reason, _harm(details) if kind == "harm" else _drift(details)


def _harm(details: LookDetails) -> Mapping[str, Any]:
    told = (details.look.model_extra or {}).get("harm")
    keys = ("metric", "value", "low", "high", "surely", "rows")
    return {key: told[key] for key in keys if key in told} if isinstance(told, Mapping) else {}


def _drift(details: LookDetails) -> Mapping[str, Any]:
    """The column that drifted most, by its effect with the interval."""
    effects = [
        (effect.get("low", 0), {"column": column.get("column"), **{k: effect.get(k) for k in _EFFECT}})
        for column in details.look.drift
        if column.get("drifted")
        for effect in (column.get("values"), column.get("missing"))
        if isinstance(effect, Mapping) and effect.get("drifted")
    ]
    return max(effects, key=lambda one: float(one[0] or 0), default=(0, {}))[1]


_EFFECT = ("estimate", "low", "high", "floor", "rows")


def _worse(look: Mapping[str, Any], better: Mapping[str, Direction]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Metrics of the newest window, measured or else estimated, whose whole interval lies on the worse side of the
    evaluation's. It is one window's interval at 95 %, which promises nothing over a year."""
    report = look.get("performance")
    series = report.get("series") if isinstance(report, Mapping) else None
    newest = series[-1] if isinstance(series, Sequence) and series else {}
    for how in ("measured", "estimated"):
        for one in newest.get(how) or ():
            direction, own = better.get(str(one.get("metric"))), _evaluated(one.get("evaluated"))
            ends = one.get("low"), one.get("high")
            if direction is None or own is None or any(not isinstance(end, int | float) for end in ends):
                continue
            value, low, high = own
            if one["high"] < low if direction == "higher" else one["low"] > high:
                said = f"{one['metric']} {how} {one['value']:.4g} ({one['low']:.4g} to {one['high']:.4g})"
                kept = {key: one.get(key) for key in ("metric", "value", "low", "high")}
                yield f"{said}, evaluated {value:.4g}", {**kept, "evaluated": value, "how": how}


def _evaluated(own: Any) -> tuple[float, float, float] | None:
    """The evaluation's value with the ends of its interval, where it has one."""
    value = own.get("value") if isinstance(own, Mapping) else own
    if not isinstance(value, int | float):
        return None
    ends = [own.get(end) if isinstance(own, Mapping) else None for end in ("low", "high")]
    low, high = (end if isinstance(end, int | float) else value for end in ends)
    return value, low, high


def by_schedule(spec: RetrainSpec, model: str, newest: str, at: datetime) -> Iterator[TrainingCause]:
    """``newest`` is the version that main has; the cause begins anew with each period."""
    if "schedule" not in spec.causes or spec.every is None or not newest:
        return
    made = version_time(newest)
    periods = (at - made) // spec.every
    if periods >= 1:
        since = made + periods * spec.every
        yield TrainingCause(
            "schedule", model, since, f"the newest version is of {made:%Y-%m-%d}, {(at - made).days} days old"
        )


def by_data(spec: RetrainSpec, model: str, changed: Sequence[DataChange], at: datetime) -> Iterator[TrainingCause]:
    """Of data that had come ``at`` the moment: else whoever claims a moment before chooses what is trained."""
    changed = [one for one in changed if one.since <= at]
    if "new_data" not in spec.causes or not changed:
        return
    before, size = sum(one.before for one in changed), sum(one.size for one in changed)
    growth = DataChange("", before, size, changed[0].since).growth
    enough = growth >= spec.grown_by if spec.grown_by else True
    names = ", ".join(one.path for one in changed)
    reason = f"{names} changed: {before:,} to {size:,} bytes since the newest version"
    since = min(one.since for one in changed)
    yield TrainingCause("new_data", model, since, reason, shows={"before": before, "size": size}, stands=enough)


def by_erasure(spec: RetrainSpec, model: str, asked: Sequence[Erasure], at: datetime) -> Iterator[TrainingCause]:
    """Of people who asked to be erased and on whose data the newest version was trained."""
    asked = [one for one in asked if one.moment <= at]
    if "erasure" not in spec.causes or not asked:
        return
    names = ", ".join(one.request for one in asked)
    reason = f"trained on people who asked to be erased ({names}): retrain by {asked[0].retrain_by}"
    since = min(one.moment for one in asked)
    yield TrainingCause("erasure", model, since, reason, shows={"retrain_by": asked[0].retrain_by})


def by_upstream(spec: RetrainSpec, model: str, changed: Sequence[UpstreamChange]) -> Iterator[TrainingCause]:
    if "upstream" not in spec.causes or not changed:
        return
    said = (f"{one.upstream} runs {one.runs} in {one.environment}, trained with {one.trained_with}" for one in changed)
    first = min(changed, key=lambda one: one.since)
    yield TrainingCause("upstream", model, first.since, "; ".join(said), first.environment)
