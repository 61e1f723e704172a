"""``gitml retire``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import anew_option, placed, reason_option, tell


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
    """End a model wherever it runs, by one pull request.

    Afterwards servers answer 410, nothing is promoted, retrained or watched there, and records, evidence and artifacts
    stay. One approval for each environment is enough, also in freezes and holds; `gitml resume`, with all approvals,
    takes it back.
    """
    from gitml.promotion.retire import RetireOrder
    from gitml.promotion.retire import retire as run_retire

    with placed(ctx) as place:
        done = run_retire(place, RetireOrder(**words))
    tell(done, as_json=as_json)
