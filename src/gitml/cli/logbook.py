"""``gitml logbook``"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.output import note, paint, printable, show, show_json, table
from gitml.verdict import Phase

if TYPE_CHECKING:
    from gitml.promotion.logbook import Logbook

_STYLES = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow"}


@click.command(
    epilog=examples(
        "gitml logbook production                 deployments, alarms, corrections, rollbacks, overrides",
        "gitml logbook production --csv > log.csv",
        "gitml logbook --check                    does it reach back as far as policy.yaml asks?",
    )
)
@click.argument("environment", default="")
@click.option("--model", default="", help="Only of this model.")
@click.option("--csv", "as_csv", is_flag=True, help="Print it as CSV.")
@click.option("--check", is_flag=True, help="Judge whether the log of each environment reaches back far enough.")
@click.option("--fetch", is_flag=True, help="First fetch main and the ledger from origin.")
@click.option("--repository", metavar="OWNER/NAME", default="", help="Where origin does not say it.")
@as_json
@click.pass_context
def logbook(
    ctx: click.Context,
    /,
    environment: str,
    *,
    model: str,
    as_csv: bool,
    check: bool,
    fetch: bool,
    repository: str,
    as_json: bool,
) -> int:
    """Show what happened to models in an environment, from signed evidence alone, and who can stop what runs there.

    What was deployed, promoted and rolled back; when data or answers went wrong and when that ended, and which changes
    came while an alarm stood; overrides, reviews, judged candidates; and which promotions the gate `substantial` called
    a substantial modification. With --check the exit code is 1 if a log does not reach back to the first deployment,
    or as far as `logbook: {keep: 26w}` of policy.yaml asks.
    """
    from gitml import clock
    from gitml.control.mainline import known_environment
    from gitml.promotion.evidence import here
    from gitml.promotion.logbook import read_logbook

    clone = here(root_of(ctx), os.environ, repository, fetch=fetch)
    if environment:
        known_environment(clone.policy(), environment)
    found = read_logbook(clone, clock.now(), environment, model)
    if as_csv:
        _print_csv(found)
    elif as_json:
        lines = [line.to_dict() for line in found.lines]
        show_json({"log": lines, "environments": found.environments, "verdict": found.verdict})
    else:
        _show(found)
    if check:
        phase = found.verdict.phase
        note(paint(phase.value, _STYLES.get(phase, "yellow")) + printable(f": {found.verdict.reason}"))
    return found.verdict.exit_code if check else 0


def _print_csv(found: Logbook) -> None:
    from gitml.evidence.export import csv_text
    from gitml.evidence.logbook import LOG_COLUMNS

    show(csv_text([line.to_dict() for line in found.lines], LOG_COLUMNS).decode().rstrip("\r\n"))


def _show(found: Logbook) -> None:
    rows = [
        [
            *(
                line.time,
                line.environment,
                line.model,
                line.version.rpartition("-")[2],
                line.what,
                line.result,
                line.by,
            ),
            _more(line.corrects, line.substantial, line.why),
        ]
        for line in found.lines
    ]
    heads = ["time", "in", "model", "version", "what", "result", "by", "why"]
    show(table([[printable(cell) for cell in row] for row in rows], heads) if rows else "nothing is signed yet")
    for one in found.environments:
        people = "; ".join(f"{role}: {', '.join(names)}" for role, names in one.stoppers.items())
        everybody = "whoever may merge: policy.yaml asks nobody's approval there"
        show(printable(f"{one.environment} is stopped by {f'one of {people}' if people else everybody}"))


def _more(corrects: tuple[str, ...], substantial: tuple[str, ...], why: str) -> str:
    told = [f"corrects {', '.join(corrects)}"] if corrects else []
    told += [f"substantial: {', '.join(substantial)}"] if substantial else []
    return "; ".join([*told, *([why.splitlines()[0][:120]] if why else [])])
