"""Files beside the pages that show the same, for spreadsheets and other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gitml.evidence.export import csv_text
from gitml.jsontext import picked, pretty
from gitml.site.facts import SiteFacts
from gitml.site.inventory import COLUMNS, inventory
from gitml.spec.views import SitePage

Rows = list[dict[str, Any]]


def _inventory(facts: SiteFacts) -> Rows:
    return [line.to_dict() for line in inventory(facts)]


def _approvals(facts: SiteFacts) -> Rows:
    names = ("time", "model", "environment", "move", "old", "new", "pull", "gate", "approval", "approvers")
    return [picked(one, *names, "overridden", "by", "recorded", "commit") for one in facts.deployments]


_TRAFFIC = ("model", "environment", "version", "variant", "requests", "errors", "refused", "rate", "p50", "p95", "p99")


def _traffic(facts: SiteFacts) -> Rows:
    """Of the last day. JSON has the hours of the week too, null where nobody told one."""
    return [picked(one, *_TRAFFIC, "hourly", "slow") for one in facts.traffic]


_IMPACTS = (
    "model", "environment", "commit", "version", "kpi", "unit", "days", "phase", "before", "effect", "low", "high",
    "a_month", "a_month_low", "a_month_high", "currency", "training", "review", "serving_month", "pays_back_months",
    "reason",
)  # fmt: skip


def _impacts(facts: SiteFacts) -> Rows:
    """A line for each KPI of each change; what the change took stands on all of its lines."""
    priced = {(one.commit, one.model, one.environment): one for one in facts.returns}
    rows = []
    for one in facts.impacts:
        took = priced.get((one.commit, one.model, one.environment))
        month = one.a_month or (None, None, None)
        told = {**picked(one, *_IMPACTS[:12]), "currency": one.currency, "reason": one.reason}
        told |= dict(zip(_IMPACTS[12:15], month, strict=True))
        costs = (took.training, took.review, took.monthly, took.pays_back) if took else (None,) * 4
        rows.append(told | dict(zip(_IMPACTS[16:20], costs, strict=True)))
    return rows


_POLICIES = ("time", "commit", "author", "title", "changed")
_BIAS = (
    "model", "table", "category", "people", "selected", "rate", "rate_low", "rate_high", "impact_ratio", "ratio_low",
    "ratio_high", "note",
)  # fmt: skip


def _bias(facts: SiteFacts) -> Rows:
    return [
        {
            "model": one.model,
            **picked(line, "table", "category", "people", "selected", "note"),
            **dict(zip(_BIAS[5:8], line.rate, strict=True)),
            **dict(zip(_BIAS[8:11], line.ratio, strict=True)),
        }
        for one in facts.bias
        for line in one.lines
    ]


def _policies(facts: SiteFacts) -> Rows:
    return [picked(one, *_POLICIES) for one in facts.policies]


def _findings(facts: SiteFacts) -> Rows:
    return [picked(one, "kind", "phase", "subject", "message", "commit") for one in facts.findings]


# Page → name of its files → what is in them.
_EXPORTS: Mapping[SitePage, tuple[str, Callable[[SiteFacts], Rows], Sequence[str]]] = {
    "operations": ("traffic", _traffic, _TRAFFIC),
    "inventory": ("inventory", _inventory, COLUMNS),
    "approvals": (
        "approvals",
        _approvals,
        (
            "time", "model", "environment", "move", "old", "new", "pull", "gate", "approval", "approvers",
            "overridden", "by", "recorded", "commit",
        ),
    ),
    "kpis": ("impacts", _impacts, _IMPACTS),
    "bias": ("bias", _bias, _BIAS),
    "policy": ("policy", _policies, _POLICIES),
    "audit": ("findings", _findings, ("kind", "phase", "subject", "message", "commit")),
}  # fmt: skip


def site_exports(facts: SiteFacts, groups: tuple[SitePage, ...]) -> Iterator[tuple[str, bytes]]:
    """Path and content, for the pages that the site has."""
    for group, (name, rows, columns) in _EXPORTS.items():
        if group in groups:
            found = rows(facts)
            yield f"exports/{name}.csv", csv_text(found, columns)
            yield f"exports/{name}.json", pretty(found).encode()
