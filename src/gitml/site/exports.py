"""Files beside the pages that show the same, for spreadsheets and other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gitml.evidence.export import csv_text
from gitml.jsontext import picked, pretty
from gitml.site.facts import SiteFacts
from gitml.site.pages import open_findings
from gitml.spec.views import SitePage

Rows = list[dict[str, Any]]


def _inventory(facts: SiteFacts) -> Rows:
    found = open_findings(facts)
    return [
        {
            **picked(model, "name", "description", "owner", "purpose", "tier", "reviewed", "review_due", "is_overdue"),
            "versions": len(model.versions),
            "newest": model.versions[0].version if model.versions else "",
            "runs_in": [f"{s.environment}={s.champion}" for s in facts.states if s.model == model.name],
            "findings": found[model.name],
        }
        for model in facts.models
    ]


def _approvals(facts: SiteFacts) -> Rows:
    names = ("time", "model", "environment", "move", "old", "new", "pull", "gate", "approval", "approvers")
    return [picked(one, *names, "overridden", "by", "recorded", "commit") for one in facts.deployments]


_TRAFFIC = ("model", "environment", "version", "variant", "requests", "errors", "refused", "rate", "p50", "p95", "p99")


def _traffic(facts: SiteFacts) -> Rows:
    """Of the last day. JSON has the hours of the week too, null where nobody told one."""
    return [picked(one, *_TRAFFIC, "hourly", "slow") for one in facts.traffic]


def _findings(facts: SiteFacts) -> Rows:
    return [picked(one, "kind", "phase", "subject", "message", "commit") for one in facts.findings]


# Page → name of its files → what is in them.
_EXPORTS: Mapping[SitePage, tuple[str, Callable[[SiteFacts], Rows], Sequence[str]]] = {
    "operations": ("traffic", _traffic, _TRAFFIC),
    "inventory": (
        "inventory",
        _inventory,
        (
            "name", "description", "owner", "purpose", "tier", "reviewed", "review_due", "is_overdue", "versions",
            "newest", "runs_in", "findings",
        ),
    ),
    "approvals": (
        "approvals",
        _approvals,
        (
            "time", "model", "environment", "move", "old", "new", "pull", "gate", "approval", "approvers",
            "overridden", "by", "recorded", "commit",
        ),
    ),
    "audit": ("findings", _findings, ("kind", "phase", "subject", "message", "commit")),
}  # fmt: skip


def site_exports(facts: SiteFacts, groups: tuple[SitePage, ...]) -> Iterator[tuple[str, bytes]]:
    """Path and content, for the pages that the site has."""
    for group, (name, rows, columns) in _EXPORTS.items():
        if group in groups:
            found = rows(facts)
            yield f"exports/{name}.csv", csv_text(found, columns)
            yield f"exports/{name}.json", pretty(found).encode()
