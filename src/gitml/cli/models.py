"""``gitml models``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples, number, root_of
from gitml.jsontext import picked
from gitml.output import note, show, show_json, table
from gitml.registry import Deployed
from gitml.training.models import Inventory, Listed, versions
from gitml.training.models import models as all_models

_METRICS_SHOWN = 4


@click.command(
    epilog=examples(
        "gitml models                  every model, its newest version and where it runs",
        "gitml models delay            the versions of one model, newest first",
        "gitml models delay --all --json",
    )
)
@click.argument("model", required=False)
@click.option("-n", "--limit", type=click.IntRange(1), default=30, show_default=True, help="Versions to list.")
@click.option("--all", "everything", is_flag=True, help="List all versions.")
@as_json
@click.pass_context
def models(ctx: click.Context, model: str | None, *, limit: int, everything: bool, as_json: bool) -> None:
    """List the models, or the versions of one MODEL."""
    root = root_of(ctx)
    if model is None:
        _show_models(all_models(root), as_json=as_json)
    else:
        _show_versions(versions(root, model, None if everything else limit), as_json=as_json)


def _show_models(inventory: list[Inventory], *, as_json: bool) -> None:
    if as_json:
        show_json([_json(entry) for entry in inventory])
        return
    rows = []
    for entry in inventory:
        newest = entry.versions[0] if entry.versions else None
        rows.append(
            [
                entry.model,
                str(entry.count),
                f"{newest.digest8} {newest.created[:10]}" if newest else "none yet",
                _metrics(newest, list(entry.better)[:2]) if newest else "",
                ", ".join(f"{p.environment} {p.version[-8:]}" for p in entry.places if p.role == "champion"),
                entry.description,
            ]
        )
    show(table(rows, ["model", "versions", "newest", "metrics", "runs in", "description"], right=[1]))


def _metrics(listed: Listed, names: list[str]) -> str:
    return "  ".join(f"{n} {number(listed.metrics.get(n))}" for n in names)


def _show_versions(entry: Inventory, *, as_json: bool) -> None:
    if as_json:
        show_json(_json(entry))
        return
    if not entry.versions:
        note(f"{entry.model} has no version yet: run `gitml train {entry.model}`")
        return
    known = dict.fromkeys(n for listed in entry.versions[:1] for n in (*entry.better, *listed.metrics))
    names = list(known)[:_METRICS_SHOWN]
    rows = [
        [
            f"{entry.model}@{listed.digest8}",
            listed.created.replace("T", " ").rstrip("Z"),
            listed.origin if listed.readable else "unreadable",
            *(number(listed.metrics.get(n)) for n in names),
            _places(listed.places),
        ]
        for listed in entry.versions
    ]
    header = ["version", "created (UTC)", "origin", *names, "runs in"]
    show(table(rows, header, right=range(3, 3 + len(names))))
    hidden = entry.count - len(entry.versions)
    if hidden:
        note(f"{hidden} older: --all lists them")
    if any(not listed.readable for listed in entry.versions):
        note("unreadable records: `gitml check` says what is wrong with them")


def _places(places: tuple[Deployed, ...]) -> str:
    return ", ".join(p.environment if p.role == "champion" else f"{p.environment} ({p.role})" for p in places)


def _json(entry: Inventory) -> dict[str, Any]:
    return {
        **picked(entry, "model", "description", "count"),
        "versions": [_version_json(listed) for listed in entry.versions],
        "deployed": [picked(p, "environment", "role", "version") for p in entry.places],
    }


def _version_json(listed: Listed) -> dict[str, Any]:
    told = picked(listed, "version", "digest8", "created", "origin", "readable", "metrics")
    return {**told, "deployed": [picked(p, "environment", "role") for p in listed.places]}
