"""What agents signed of each hour, added up for people: by version, and by server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from gitml.evidence.served import ServedDetails, SignedHour, VersionTraffic, bucket_quantile
from gitml.site.readchanges import stamp
from gitml.site.servedfacts import Hourly, ServerDay, VersionDay

HOUR, DAY = timedelta(hours=1), 24
# Hours that are drawn.
WEEK = 168

_Of = tuple[str, str, str, str]


def site_traffic(hours: Sequence[SignedHour]) -> tuple[VersionDay, ...]:
    """By environment, model, variant and version; those that answered nothing for a day are left out."""
    if not hours:
        return ()
    end = _end(hours)
    found: dict[_Of, dict[int, list[tuple[ServedDetails, VersionTraffic]]]] = {}
    for hour in hours:
        for count in hour.details.counts:
            key = (hour.environment, count.model, count.variant, count.version)
            ago = _ago(hour.details, end)
            if ago < WEEK:
                found.setdefault(key, {}).setdefault(ago, []).append((hour.details, count))
    return tuple(_traffic(key, told) for key, told in sorted(found.items()) if min(told) < DAY)


def _traffic(key: _Of, told: Mapping[int, Sequence[tuple[ServedDetails, VersionTraffic]]]) -> VersionDay:
    environment, model, variant, version = key
    day = [one for ago in told if ago < DAY for one in told[ago]]
    counts = [count for _, count in day]
    # Several servers share the traffic of the same hours.
    seconds = sum(max(details.watched for details, _ in told[ago]) for ago in told if ago < DAY)
    requests = sum(count.requests for count in counts)
    return VersionDay(
        model=model,
        environment=environment,
        version=version,
        variant=variant,
        requests=requests,
        errors=sum(count.errors for count in counts),
        refused=sum(count.refused for count in counts),
        rate=requests / seconds if seconds else 0.0,
        p50=_slow(day, 0.5),
        p95=_slow(day, 0.95),
        p99=_slow(day, 0.99),
        hourly=_hourly({ago: float(sum(count.requests for _, count in one)) for ago, one in told.items()}),
        slow=_hourly({ago: _slow(one, 0.95) for ago, one in told.items()}),
    )


def _slow(told: Iterable[tuple[ServedDetails, VersionTraffic]], share: float) -> float | None:
    """Of all servers that counted by the same bounds as the newest one."""
    every = list(told)
    bounds = every[-1][0].bounds
    same = [count.buckets for details, count in every if details.bounds == bounds]
    return bucket_quantile(bounds, [sum(column) for column in zip(*same, strict=True)], share)


def site_servers(hours: Sequence[SignedHour]) -> tuple[ServerDay, ...]:
    """By environment and agent."""
    if not hours:
        return ()
    end = _end(hours)
    found: dict[tuple[str, str], dict[int, list[ServedDetails]]] = {}
    for hour in hours:
        if (ago := _ago(hour.details, end)) < WEEK:
            found.setdefault((hour.environment, hour.details.agent), {}).setdefault(ago, []).append(hour.details)
    return tuple(_server(*key, told) for key, told in sorted(found.items()))


def _server(environment: str, agent: str, told: Mapping[int, Sequence[ServedDetails]]) -> ServerDay:
    day = [one for ago in told if ago < DAY for one in told[ago]]
    return ServerDay(
        agent=agent,
        environment=environment,
        until=stamp(max(one.until for ago in told for one in told[ago])),
        hours=sum(ago < DAY for ago in told),
        untold=max(told) - min(told) + 1 - len(told),
        uptime=_share(day, "up"),
        restarts=sum(one.restarts for one in day),
        cpu=_share(day, "cpu"),
        memory=max((one.memory for one in day), default=0),
        hourly_up=_hourly({ago: _share(one, "up") for ago, one in told.items()}),
        hourly_cpu=_hourly({ago: _share(one, "cpu") for ago, one in told.items()}),
        hourly_memory=_hourly({ago: float(max(o.memory for o in one)) for ago, one in told.items()}),
    )


def _share(told: Iterable[ServedDetails], name: str) -> float:
    """Of the time that was watched."""
    every = list(told)
    watched = sum(one.watched for one in every)
    return float(sum(getattr(one, name) for one in every) / watched) if watched else 0.0


def _end(hours: Sequence[SignedHour]) -> datetime:
    """Of the newest hour that anything is known of."""
    return max(_middle(hour.details) for hour in hours).replace(minute=0, second=0, microsecond=0) + HOUR


def _middle(details: ServedDetails) -> datetime:
    """A stretch ends a few seconds into the next hour: its middle says which one it tells of."""
    return details.since + (details.until - details.since) / 2


def _ago(details: ServedDetails, end: datetime) -> int:
    """Whole hours before the end."""
    return (end - _middle(details)) // HOUR


def _hourly(values: Mapping[int, float | None]) -> Hourly:
    return tuple(values.get(ago) for ago in range(WEEK - 1, -1, -1))
