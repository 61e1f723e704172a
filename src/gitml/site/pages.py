"""Every page of a site, as a pure function of the facts: which there are, where they lie, what each shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitml.site.charts import ChartPoint, line_chart
from gitml.site.facts import SiteFacts
from gitml.site.graph import HEIGHT, WIDTH, application_graph
from gitml.site.inventory import inventory
from gitml.site.pageschanges import changes_pages, deployments_pages
from gitml.site.pageslive import experiments_pages, monitors_pages
from gitml.site.pagesmodels import data_pages, models_pages
from gitml.site.render import SitePageFile
from gitml.spec.views import SitePage
from gitml.verdict import Phase

_NEWEST = 12


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
    """Each with its days, as far as somebody measured them."""
    series = [(kpi, [ChartPoint(day, value) for day, value in kpi.points]) for kpi in facts.kpis]
    return {"kpi_charts": [(kpi, line_chart(kpi.name, points)) for kpi, points in series]}


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
    "operations": ("operations.html", "Operations", _one("operations.html", "Operations", "operations")),
    "monitors": ("monitors/index.html", "Monitors", monitors_pages),
    "experiments": ("experiments.html", "Experiments", experiments_pages),
    "gates": ("gates.html", "Pull requests", _one("gates.html", "Pull requests", "gates")),
    "data": ("data/index.html", "Data", data_pages),
    "inventory": ("inventory.html", "Inventory", _one("inventory.html", "Model inventory", "inventory", _inventory)),
    "kpis": ("kpis.html", "KPIs", _one("kpis.html", "KPIs", "kpis", _kpis)),
    "approvals": ("approvals.html", "Approvals", _one("approvals.html", "Approvals", "approvals")),
    "audit": ("audit.html", "Audit", _one("audit.html", "Audit", "audit")),
    "policy": ("policy.html", "Policy", _one("policy.html", "Policy", "policy")),
}


def site_pages(facts: SiteFacts, groups: tuple[SitePage, ...]) -> Iterator[SitePageFile]:
    """The first page, and those of the ``groups``."""
    yield SitePageFile("index.html", "Overview", "index.html", data=_overview(facts))
    for group in GROUPS:
        if group in groups:
            yield from GROUPS[group][2](facts)
