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


def _findings(facts: SiteFacts) -> Rows:
    return [picked(one, "kind", "phase", "subject", "message", "commit") for one in facts.findings]


# Page → name of its files → what is in them.
_EXPORTS: Mapping[SitePage, tuple[str, Callable[[SiteFacts], Rows], Sequence[str]]] = {
    "inventory": ("inventory", _inventory, COLUMNS),
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
