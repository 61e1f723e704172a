"""``gitml inventory``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.extras import require
from gitml.cli.site import gathered
from gitml.output import note, paint, printable, show, show_json, table
from gitml.verdict import Phase

if TYPE_CHECKING:
    from gitml.site.facts import SiteFacts
    from gitml.site.inventory import InventoryLine

_STYLES = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow"}


@click.command(
    epilog=examples(
        "gitml inventory                     what models there are, where they run, and whose review is due",
        "gitml inventory --csv > models.csv",
        "gitml inventory --overdue           exit code 1 if a review is overdue: for a scheduled job",
        "gitml inventory --out inventory     a page, CSV and JSON in a folder",
    )
)
@click.option("--overdue", is_flag=True, help="Judge whether models that run were reviewed in time.")
@click.option("--csv", "as_csv", is_flag=True, help="Print it as CSV.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write a page, CSV and JSON there.")
@click.option("--repository", metavar="OWNER/NAME", default="", help="Where origin does not say it.")
@click.option("--offline", is_flag=True, help="Ask no forge: show what this clone knows.")
@as_json
@click.pass_context
def inventory(
    ctx: click.Context, /, *, overdue: bool, as_csv: bool, out: Path | None, as_json: bool, **asked: Any
) -> int:
    """List all models: purpose, owner, users, tier, inputs, outputs, what they depend on, who reviewed them and when.

    What only people know stands in gitml.yaml (`owner`, `purpose`, `tier`, `vendor`, `retire_by`, `card`), how often
    models are reviewed in `reviews` of policy.yaml, by tier. A review is what people approved at a promotion, or
    signed by `gitml review`, and nobody counts who made the version. With --overdue the exit code is 1 if a review is
    overdue or failed or a model runs longer than `retire_by`, 3 if that is not known.
    """
    from gitml import clock
    from gitml.site.inventory import inventory as listed
    from gitml.site.inventory import judged

    facts = gathered(ctx, kpis=None, **asked)
    for text in (*facts.notes, facts.ledger_problem):
        if text:
            note(printable(text))
    lines = listed(facts, f"{clock.now():%Y-%m-%d}")
    # Without gitml.yaml nobody knows which models have to be reviewed.
    unread = next((text for text in facts.notes if text.startswith("gitml.yaml cannot be read")), "")
    verdict = judged(() if unread else lines, unread or facts.ledger_problem)
    if out:
        _write(facts, out)
    elif as_csv:
        _print_csv(lines)
    elif as_json:
        show_json({"models": [line.to_dict() for line in lines], "verdict": verdict})
    else:
        _show(lines)
    if overdue:
        note(paint(verdict.phase.value, _STYLES.get(verdict.phase, "yellow")) + printable(f": {verdict.reason}"))
    return verdict.exit_code if overdue else 0


def _write(facts: SiteFacts, out: Path) -> None:
    require("site")
    from gitml.site.build import build
    from gitml.spec.views import SiteView

    built = build(facts, "", SiteView(pages=("inventory",)), out)
    show(printable(f"{built.folder}: inventory.html, exports/inventory.csv, exports/inventory.json"))


def _print_csv(lines: tuple[InventoryLine, ...]) -> None:
    from gitml.evidence.export import csv_text
    from gitml.site.inventory import COLUMNS

    show(csv_text([line.to_dict() for line in lines], COLUMNS).decode().rstrip("\r\n"))


def _show(lines: tuple[InventoryLine, ...]) -> None:
    rows = [
        [line.name, line.tier, line.owner, " ".join(line.runs_in) or "nowhere", _reviewed(line), line.retire_by]
        for line in lines
    ]
    heads = ["model", "tier", "owner", "runs in", "review", "out of use by"]
    show(table([[printable(cell) for cell in row] for row in rows], heads) if rows else "gitml.yaml names no model yet")


def _reviewed(line: InventoryLine) -> str:
    if line.is_overdue:
        return f"overdue since {line.review_due}"
    if line.is_due and not line.validated:
        return "never"
    return f"due by {line.review_due}" if line.review_due else line.validated
