"""Which windows are due: over, of the champion that main had then, and without a signed look. From Git alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby, islice

from gitml.control.mainline import Mainline
from gitml.errors import GitmlError
from gitml.evidence.looks import Looks
from gitml.monitoring.promise import WINDOWS
from gitml.registry.deploymentpast import Past
from gitml.registry.resolve import deployment_path
from gitml.spec import Application
from gitml.spec.deployment import parse_deployment
from gitml.spec.monitors import MonitorSpec

Span = tuple[datetime, datetime]
# A judgement reads no more windows than these; what was missed before is of no use to it.
MOST_WINDOWS = max(WINDOWS)


@dataclass(frozen=True)
class MonitorOnMain:
    """A champion that is watched. ``since``: when main brought it, by the commit ``brought``. ``before``: the version
    whose place it took, empty for the first. Of one that serves no more: ``until`` when it did, and which came
    ``after``; both may be of a state of the file that nobody can read, which has the version ''."""

    model: str
    environment: str
    version: str
    spec: MonitorSpec
    since: datetime
    brought: str
    before: str = ""
    until: datetime | None = None
    after: str = ""

    @property
    def name(self) -> tuple[str, str]:
        return self.model, self.environment


def monitors_of(main: Mainline, app: Application) -> Iterator[MonitorOnMain]:
    """The champions of the application, by model and environment."""
    for model, environment, spec in _watched(main, app):
        yield from islice(_champions(main, model, environment, spec), 1)


def monitors_before(main: Mainline, app: Application, at: datetime) -> Iterator[MonitorOnMain]:
    """Champions that serve no more, of which windows may still be due at ``at``: a look that was missed is made up for
    although another version came meanwhile."""
    for model, environment, spec in _watched(main, app):
        oldest = spec.last_window(at)[1] - MOST_WINDOWS * spec.window
        known = set(main.versions(model))
        for one in islice(_champions(main, model, environment, spec), 1, None):
            if one.until is None or one.until <= oldest:
                break
            if one.version in known:
                yield one


def _watched(main: Mainline, app: Application) -> Iterator[tuple[str, str, MonitorSpec]]:
    for model in app.models:
        spec = app.monitors.of(model)
        for environment in (spec.environments or main.environments(model)) if spec.watch else ():
            state = main.deployment(model, environment)
            if state and not state.retired:
                yield model, environment, spec


def _champions(main: Mainline, model: str, environment: str, spec: MonitorSpec) -> Iterator[MonitorOnMain]:
    """Newest first, the first serves. One is only read when the next is asked for: histories are long."""
    terms = groupby(main.history(deployment_path(model, environment)), key=_pinned)
    newer: MonitorOnMain | None = None
    for version, term in terms:
        *_, first = term
        since = datetime.fromisoformat(first.time)
        if newer:
            yield replace(newer, before=version)
        until, after = (newer.since, newer.version) if newer else (None, "")
        newer = MonitorOnMain(model, environment, version, spec, since, first.commit, "", until, after)
    if newer:
        yield newer


def _pinned(past: Past) -> str:
    try:
        return parse_deployment(past.content or b"", "deployment").champion.version
    except (GitmlError, ValueError):
        return ""


def due_windows(watched: MonitorOnMain, looks: Looks, at: datetime) -> tuple[Span, ...]:
    """Oldest first. A look of another configuration is a look: a change of the columns does not look at all again."""
    signed = {look.window for look in looks.of(*watched.name) if look.version == watched.version}
    end = watched.spec.last_window(at)[1]
    length = watched.spec.window
    spans = ((end - (back + 1) * length, end - back * length) for back in reversed(range(MOST_WINDOWS)))
    last = watched.until or end
    return tuple(span for span in spans if watched.since < span[1] <= last and span not in signed)


def next_due(watched: Collection[MonitorOnMain], looks: Looks, at: datetime) -> datetime:
    """When something is due next: at once while a window waits, else at the end of the first window that ends."""
    if any(due_windows(one, looks, at) for one in watched):
        return at
    ends = [one.spec.last_window(at)[1] + one.spec.window for one in watched]
    return min(ends, default=datetime.max.replace(tzinfo=at.tzinfo))


def needed_looks(read: Callable[[datetime], Looks], watched: Collection[MonitorOnMain], at: datetime) -> Looks:
    """Those that judge the windows that are due now. ``read`` gives the looks that were signed since a moment.

    Of a monitor without a look in that time, all of the year are counted: what was spent is said by the newest.
    """
    longest = max((one.spec.window for one in watched), default=None)
    if longest is None:
        return Looks()
    since, year = at - (2 * MOST_WINDOWS + 1) * longest, datetime(at.year, 1, 1, tzinfo=UTC)
    found = read(since)
    return found if since <= year or all(found.of(*one.name) for one in watched) else read(year)
