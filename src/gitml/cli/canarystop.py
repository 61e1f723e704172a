"""``gitml canary stop``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import anew_option, placed, reason_option, tell, until_option
from gitml.promotion.stop import StopOrder
from gitml.promotion.stop import stop as run_stop


@click.command(
    epilog=examples(
        "gitml canary stop delay --in production --reason 'complaints from the desk'",
        "gitml canary stop delay@3f2a90bc --in production --until 2026-12-01 --reason 'after the holidays'",
    )
)
@click.argument("model", metavar="MODEL[@VERSION]")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Where.")
@until_option
@reason_option
@anew_option
@as_json
@click.pass_context
def stop(ctx: click.Context, /, model: str, *, as_json: bool, **words: Any) -> None:
    """Take a canary or shadow back, by a pull request that also holds its version, so that nothing brings it again.

    Without a version it is the canary, else the one shadow that is there. One approval is enough, also in freezes and
    holds. `gitml resume MODEL@VERSION` ends the hold.
    """
    name, _, version = model.partition("@")
    with placed(ctx) as place:
        done = run_stop(place, StopOrder(name, version=version, **words))
    tell(done, as_json=as_json)
