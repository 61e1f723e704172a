"""Which windows are due: over, of a champion that main had then, and without a signed look. From Git alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

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
    whose place it took, empty for the first."""

    model: str
    environment: str
    version: str
    spec: MonitorSpec
    since: datetime
    brought: str
    before: str = ""

    @property
    def name(self) -> tuple[str, str]:
        return self.model, self.environment


def monitors_of(main: Mainline, app: Application) -> Iterator[MonitorOnMain]:
    """All of the application, by model and environment."""
    for model in app.models:
        spec = app.monitors.of(model)
        for environment in (spec.environments or main.environments(model)) if spec.watch else ():
            found = _champion(main, model, environment)
            if found:
                version, past, before = found
                since = datetime.fromisoformat(past.time)
                yield MonitorOnMain(model, environment, version, spec, since, past.commit, before)


def _champion(main: Mainline, model: str, environment: str) -> tuple[str, Past, str] | None:
    """The version that answers there, the state of the file that brought it, and the version before."""
    state = main.deployment(model, environment)
    if state is None or state.retired:
        return None
    version, brought, before = state.champion.version, None, ""
    for past in main.history(deployment_path(model, environment)):
        before = _pinned(past)
        if before != version:
            break
        brought, before = past, ""
    return (version, brought, before) if brought else None


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
    return tuple(span for span in spans if span[1] > watched.since and span not in signed)


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
