"""``gitml ci propose``"""

from __future__ import annotations

import os

import click

from gitml.cijobs.propose import Turn, starter
from gitml.cijobs.propose import propose as run_propose
from gitml.cli.common import as_json, examples
from gitml.cli.proposed import as_dict, placed
from gitml.jsontext import picked
from gitml.output import printable, show, show_json


@click.command(epilog=examples("gitml ci propose    in the rendered workflow gitml-main.yml"))
@as_json
@click.pass_context
def propose(ctx: click.Context, as_json: bool) -> int:
    """Open the promotions that are due after a merge, and close those that are overtaken.

    Each model's newest version goes to the first environment; `propose: true` in policy.yaml takes it on to the others
    when it runs in the one before. Who merged is recorded, and does not count as an approver. A promotion that people
    closed is not opened again. Exit code 4: one that is due could not be opened.
    """
    with placed(ctx) as place:
        turns = run_propose(place, starter(os.environ))
    if as_json:
        show_json([_json(turn) for turn in turns])
    for turn in () if as_json else turns:
        show(printable(f"{turn.model} in {turn.environment}: {turn.said or 'nothing is due'}"))
        for number in turn.closed:
            show(f"  closed #{number}, which is overtaken")
    return 4 if any(turn.problem for turn in turns) else 0


def _json(turn: Turn) -> dict[str, object]:
    told = picked(turn, "model", "environment", "said", "closed", "problem")
    return {**told, "proposed": as_dict(turn.proposed) if turn.proposed else None}
