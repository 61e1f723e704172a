"""Every page of a site, as a pure function of the facts: which there are, where they lie, what each shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitml.site.businessfacts import SiteReturn
from gitml.site.charts import ChartPoint, line_chart
from gitml.site.facts import SiteFacts
from gitml.site.graph import HEIGHT, WIDTH, application_graph
from gitml.site.inventory import inventory
from gitml.site.pageschanges import changes_pages, deployments_pages
from gitml.site.pageslive import experiments_pages, monitors_pages, operations_pages
from gitml.site.pagesmodels import data_pages, models_pages
from gitml.site.render import SitePageFile
from gitml.spec.views import SitePage
from gitml.verdict import Phase

_NEWEST, _MOST_LINES = 12, 800


def _one(
    path: str, title: str, group: SitePage, more: Callable[[SiteFacts], Mapping[str, Any]] = lambda _: {}
) -> Callable[[SiteFacts], Iterator[SitePageFile]]:
    """A page that shows the facts as they are, from the template of its name; ``more``: what it has beside them."""

    def pages(facts: SiteFacts) -> Iterator[SitePageFile]:
        yield SitePageFile(path, title, path, group, more(facts))

    return pages


def _inventory(facts: SiteFacts) -> Mapping[str, Any]:
    return {"lines": inventory(facts)}


def _kpis(facts: SiteFacts) -> Mapping[str, Any]:
    """Each with its days, as far as somebody measured them, and with the changes of the last environment among them."""
    last = facts.environments[-1].name if facts.environments else ""
    changed: dict[str, list[str]] = {}
    for one in facts.deployments:
        if one.environment == last:
            changed.setdefault(one.time[:10], []).append(f"{one.move} of {one.model}")
    charts = []
    for kpi in facts.kpis:
        told = ((day, value, "; ".join(changed.get(day, ()))) for day, value in kpi.points)
        points = [ChartPoint(day, value, said=said, is_cut=bool(said)) for day, value, said in told]
        charts.append((kpi, line_chart(f"{kpi.name} by day", points)))
    return {"kpi_charts": charts, "totals": _totals(facts)}


def _totals(facts: SiteFacts) -> list[tuple[str, str, int, float, float, float, int]]:
    """By model and currency: changes that were priced, what they took once, what serving takes a month, what those
    that clearly changed a KPI bring a month, and how many these are. Serving is paid once, whatever was changed."""
    by_model: dict[tuple[str, str], list[SiteReturn]] = {}
    for one in facts.returns:
        by_model.setdefault((one.model, one.currency), []).append(one)
    return [
        (
            *key,
            len(found),
            sum(one.once for one in found),
            max(one.monthly for one in found),
            sum(one.gain[0] for one in found if one.gain),
            sum(bool(one.gain) for one in found),
        )
        for key, found in sorted(by_model.items())
    ]


def _bias(facts: SiteFacts) -> Mapping[str, Any]:
    """All models, with as many lines of their tables as a page bears."""
    left, shown = _MOST_LINES, []
    for one in facts.bias:
        shown.append((one, one.lines[:left]))
        left -= len(shown[-1][1])
    return {"shown": shown}


def _overview(facts: SiteFacts) -> Mapping[str, Any]:
    newest = {(look.model, look.environment): look for look in facts.looks}
    return {
        "graph": application_graph(facts),
        "newest": facts.deployments[:_NEWEST],
        "alarms": sum(look.phase is Phase.FAILED for look in newest.values()),
        "behind": sum(state.sync in ("behind", "failing") for state in facts.states),
        "box_width": WIDTH,
        "box_height": HEIGHT,
    }


# Page of policy.yaml → its first file, its name for people, and what makes its files.
GROUPS: Mapping[SitePage, tuple[str, str, Callable[[SiteFacts], Iterator[SitePageFile]]]] = {
    "changes": ("changes/index.html", "Changes", changes_pages),
    "models": ("models/index.html", "Models", models_pages),
    "deployments": ("deployments/index.html", "Deployments", deployments_pages),
    "operations": ("operations.html", "Operations", operations_pages),
    "monitors": ("monitors/index.html", "Monitors", monitors_pages),
    "experiments": ("experiments.html", "Experiments", experiments_pages),
    "gates": ("gates.html", "Pull requests", _one("gates.html", "Pull requests", "gates")),
    "data": ("data/index.html", "Data", data_pages),
    "inventory": ("inventory.html", "Inventory", _one("inventory.html", "Model inventory", "inventory", _inventory)),
    "kpis": ("kpis.html", "KPIs", _one("kpis.html", "KPIs", "kpis", _kpis)),
    "approvals": ("approvals.html", "Approvals", _one("approvals.html", "Approvals", "approvals")),
    "audit": ("audit.html", "Audit", _one("audit.html", "Audit", "audit")),
    "bias": ("bias.html", "Bias", _one("bias.html", "Bias", "bias", _bias)),
    "policy": ("policy.html", "Policy", _one("policy.html", "Policy", "policy")),
}


def site_pages(facts: SiteFacts, groups: tuple[SitePage, ...]) -> Iterator[SitePageFile]:
    """The first page, and those of the ``groups``."""
    yield SitePageFile("index.html", "Overview", "index.html", data=_overview(facts))
    for group in GROUPS:
        if group in groups:
            yield from GROUPS[group][2](facts)
