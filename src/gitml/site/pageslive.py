"""Live traffic: monitors with their looks over time, and candidates beside their champions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitml.site.charts import ChartPoint, LineChart, line_chart
from gitml.site.facts import SiteFacts
from gitml.site.paging import paged
from gitml.site.render import SitePageFile
from gitml.site.watchfacts import SiteLook, SiteTrial
from gitml.verdict import Phase

MARKS = {Phase.SUCCESSFUL: "good", Phase.FAILED: "bad"}
_MOST_CHARTS, _MOST_ROWS, _PER_PAGE = 6, 24, 150


def operations_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    """Lists that are long have pages of their own."""
    yield SitePageFile("operations.html", "Operations", "operations.html", "operations", {"most": _MOST_ROWS})
    lists = (
        ("traffic/index.html", "Traffic of the last day", "version", facts.traffic),
        ("traffic/servers.html", "Servers in the last day", "server", facts.servers),
    )
    for path, title, what, found in lists:
        for part in paged(found, _PER_PAGE, path) if len(found) > _MOST_ROWS else ():
            yield SitePageFile(part.path, title, "traffic.html", "operations", {"part": part, "what": what})


def monitors_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    by_monitor: dict[tuple[str, str], list[SiteLook]] = {}
    for look in facts.looks:
        by_monitor.setdefault((look.model, look.environment), []).append(look)
    silent = [one for one in facts.watched if one not in by_monitor]
    data = {"newest": [looks[-1] for looks in by_monitor.values()], "silent": silent}
    yield SitePageFile("monitors/index.html", "Monitors", "monitors-index.html", "monitors", data)
    for (model, environment), looks in by_monitor.items():
        shown = {
            "looks": looks[::-1],
            "newest": looks[-1],
            "performance": performance_charts(looks),
            "drift": drift_charts(looks),
        }
        path = f"monitors/{model}/{environment}.html"
        yield SitePageFile(path, f"Monitor of {model} in {environment}", "monitors-monitor.html", "monitors", shown)


def performance_charts(looks: Sequence[SiteLook]) -> list[LineChart]:
    """Metric by metric over time: what labels say, and estimates where they have not come. The newest word counts."""
    told = {(score.metric, score.since): score for look in looks for score in look.scores}
    metrics = dict.fromkeys(metric for metric, _ in told)
    found = []
    for metric in list(metrics)[:_MOST_CHARTS]:
        scores = sorted((score for score in told.values() if score.metric == metric), key=lambda one: one.since)
        points = [ChartPoint(s.since[:10], s.value, s.low, s.high, s.kind, _kind(s.kind)) for s in scores]
        level = next((s.evaluated for s in reversed(scores) if s.evaluated is not None), None)
        chart = line_chart(f"{metric} on live traffic, with 95 % intervals", points, level, "when evaluated")
        found += [chart] if chart else []
    return found


def _kind(kind: str) -> str:
    return "odd" if kind == "estimated" else ""


def drift_charts(looks: Sequence[SiteLook]) -> list[LineChart]:
    """The columns that are farthest from their reference in the newest look."""
    newest = sorted(looks[-1].drift, key=lambda one: (-(one.low or 0.0), one.column))
    found = []
    for column in [one.column for one in newest[:_MOST_CHARTS]]:
        points, floor = [], None
        for look in looks:
            one = next((c for c in look.drift if c.column == column), None)
            if one and one.estimate is not None:
                floor = one.floor if one.floor is not None else floor
                said = "drifted" if one.drifted else "not beyond the floor"
                mark = "bad" if one.drifted else ""
                points.append(ChartPoint(look.since[:10], one.estimate, one.low, one.high, said, mark))
        chart = line_chart(f"{column}: distance from the reference", points, floor, "floor")
        found += [chart] if chart else []
    return found


def experiments_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    data = {"charts": [(trial, _series(trial)) for trial in facts.trials]}
    yield SitePageFile("experiments.html", "Experiments and replays", "experiments.html", "experiments", data)


def _series(trial: SiteTrial) -> LineChart | None:
    known = [point for point in trial.points if point[1] is not None]
    points = [ChartPoint(at[:10], value or 0.0, low, high) for at, value, low, high in known]
    return line_chart("candidate minus champion, with its interval", points, 0.0, "no difference")
