"""``gitml retire``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import anew_option, as_dict, placed, reason_option, tell
from gitml.output import show_json


@click.command(
    epilog=examples(
        "gitml retire delay --reason 'the desk was closed, see RISK-90'",
        "gitml retire delay --in staging --reason 'nobody tests it any more'",
    )
)
@click.argument("model")
@click.option("--in", "environment", default="", metavar="ENVIRONMENT", help="Only there. Default: everywhere.")
@reason_option
@anew_option
@as_json
@click.pass_context
def retire(ctx: click.Context, /, *, as_json: bool, **words: Any) -> None:
    """End a model wherever it runs, by a pull request for each environment, the last one first.

    Afterwards servers answer 410, nothing is promoted, retrained or watched there, and records, evidence and artifacts
    stay. One approval is enough, also in freezes and holds; `gitml resume`, with all approvals, takes it back.
    """
    from gitml.promotion.retire import RetireOrder
    from gitml.promotion.retire import retire as run_retire

    with placed(ctx) as place:
        done = run_retire(place, RetireOrder(**words))
    if as_json:
        show_json([as_dict(one) for one in done])
        return
    for one in done:
        tell(one, as_json=False)
