"""Models, their versions, and the data that they are made from."""

from __future__ import annotations

from collections.abc import Iterator

from gitml.site.charts import ChartPoint, LineChart, line_chart
from gitml.site.facts import SiteFacts
from gitml.site.paging import paged
from gitml.site.render import SitePageFile, short
from gitml.site.versionfacts import SiteModel, VersionDetail

_PER_PAGE = 100
_METRICS_SHOWN, _POINTS = 4, 60


def models_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    rows = [(model, metrics_shown(model)) for model in facts.models]
    yield SitePageFile("models/index.html", "Models", "models-index.html", "models", {"rows": rows})
    for model in facts.models:
        metrics = metrics_shown(model)
        chart = _chart(model, metrics[0]) if metrics else None
        for part in paged(model.versions, _PER_PAGE, f"models/{model.name}/index.html"):
            data = {"model": model, "part": part, "metrics": metrics, "chart": chart if part.number == 1 else None}
            yield SitePageFile(part.path, f"Versions of {model.name}", "models-model.html", "models", data)
        yield from (_version(facts, model, detail) for detail in model.details.values())


def _version(facts: SiteFacts, model: SiteModel, detail: VersionDetail) -> SitePageFile:
    listed = next((v for v in model.versions if v.version == detail.version), None)
    data = {
        "model": model,
        "detail": detail,
        "places": listed.places if listed else (),
        "released": [d for d in facts.deployments if d.model == model.name and d.new == detail.version],
    }
    title = f"{model.name}@{short(detail.version)}"
    return SitePageFile(f"models/{model.name}/{detail.version}.html", title, "models-version.html", "models", data)


def metrics_shown(model: SiteModel) -> tuple[str, ...]:
    """Those that gitml.yaml gives a direction come first."""
    known = dict.fromkeys(name for version in model.versions[:1] for name in version.metrics)
    first = [name for name in model.better if any(name in version.metrics for version in model.versions[:20])]
    return tuple(dict.fromkeys([*first, *known]))[:_METRICS_SHOWN]


def _chart(model: SiteModel, metric: str) -> LineChart | None:
    """The newest versions, oldest of them first."""
    shown = [v for v in model.versions[:_POINTS] if metric in v.metrics][::-1]
    points = []
    for version in shown:
        detail = model.details.get(version.version)
        found = next((m for m in detail.metrics if m.name == metric), None) if detail else None
        low, high = (found.low, found.high) if found else (None, None)
        mark = "good" if version.places else ""
        places = ", ".join(f"{p.environment} ({p.role})" for p in version.places)
        said = f"{version.digest8}, {version.created[:10]}" + (f", in {places}" if places else "")
        href = f"models/{model.name}/{version.version}.html" if version.has_page else ""
        points.append(ChartPoint(version.created[:10], version.metrics[metric], low, high, said, mark, href))
    return line_chart(f"{metric} of the versions of {model.name}; green ones run", points)


def data_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    newest = [(model, _shown(facts, model)) for model in facts.models]
    shown = [(model, detail) for model, detail in newest if detail]
    breaches = [(look, breach) for look in reversed(facts.looks) for breach in look.quality][:200]
    data = {"newest": shown, "breaches": breaches}
    yield SitePageFile("data/index.html", "Data", "data-index.html", "data", data)
    used = list(_used(facts))
    for part in paged(used, 500, "data/columns.html"):
        yield SitePageFile(part.path, "Who uses which column", "data-columns.html", "data", {"part": part})


def _shown(facts: SiteFacts, model: SiteModel) -> VersionDetail | None:
    """The champion of the last environment that has one, else the newest version."""
    order = [environment.name for environment in facts.environments]
    places = {p.environment: v.version for v in model.versions for p in v.places if p.role == "champion"}
    wanted = [*(places[name] for name in reversed(order) if name in places), *(v.version for v in model.versions[:1])]
    return next((model.details[version] for version in wanted if version in model.details), None)


def _used(facts: SiteFacts) -> Iterator[tuple[str, str, list[str], list[str], list[str]]]:
    """Column, type, the models that read it, those that answer with it, and the monitors in which it has drifted."""
    readers: dict[str, list[str]] = {}
    answers: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for model in facts.models:
        detail = _shown(facts, model)
        for column in detail.columns if detail else ():
            side = readers if column.side == "input" else answers
            side.setdefault(column.name, []).append(model.name)
            types.setdefault(column.name, column.type)
    newest = {(look.model, look.environment): look for look in facts.looks}
    drifted: dict[str, list[str]] = {}
    for (watched, environment), look in newest.items():
        for one in look.drift:
            if one.drifted:
                drifted.setdefault(one.column, []).append(f"{watched} in {environment}")
    for name in sorted(types):
        yield name, types[name], readers.get(name, []), answers.get(name, []), drifted.get(name, [])
