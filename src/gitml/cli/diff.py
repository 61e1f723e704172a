"""``gitml diff``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.cli.tables import difference_json, difference_table
from gitml.jsontext import picked
from gitml.output import paint, show, show_json, table
from gitml.registry.difference import DiffLine
from gitml.training.diff import Diff
from gitml.training.diff import diff as diff_versions

_PARTS = ("params", "data", "code", "stages", "packages", "signature")


@click.command(
    epilog=examples(
        "gitml diff delay@production delay@latest   what the newest version would change",
        "gitml diff delay@3f2a delay@77b1 --json",
    )
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@as_json
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, *, as_json: bool) -> None:
    """Show two versions side by side: metrics, params, data, code, packages, signature."""
    found = diff_versions(root_of(ctx), old, new)
    if as_json:
        show_json(_json(found))
        return
    show(paint(f"{found.old.reference} → {found.new.reference}", "bold"))
    if found.metrics:
        new, old = found.new.digest[:8], found.old.digest[:8]
        show("\n" + difference_table(found.metrics, new, old, old_first=True))
    changed = [part for part in _PARTS if getattr(found, part)]
    for part in changed:
        show("\n" + paint(part, "bold"))
        show(table([_row(change) for change in getattr(found, part)]))
    same = [part for part in _PARTS if part not in changed]
    if same:
        show("\n" + f"the same: {', '.join(same)}")


def _row(change: DiffLine) -> list[str]:
    if change.old is None:
        return ["+", change.name, "", "", change.new or ""]
    if change.new is None:
        return ["-", change.name, change.old, "", ""]
    return ["~", change.name, change.old, "→", change.new]


def _json(found: Diff) -> dict[str, Any]:
    return {
        "old": picked(found.old, "model", "version"),
        "new": picked(found.new, "model", "version"),
        "metrics": [difference_json(d) for d in found.metrics],
        **{part: [picked(c, "name", "old", "new") for c in getattr(found, part)] for part in _PARTS},
    }
