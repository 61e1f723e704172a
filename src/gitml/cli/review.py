"""``gitml review``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import key_option, placed, plain_text
from gitml.jsontext import picked
from gitml.output import printable, show, show_json


@click.command(
    epilog=examples(
        "gitml review delay@production --passed --report https://acme.example/reviews/2026-4 --key rita.key",
        "gitml review delay@production --failed --report 'its limits are not kept: fares were set by it'",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION|@ENVIRONMENT]")
@click.option("--passed/--failed", "has_passed", required=True, default=None, help="Whether it may go on.")
@click.option("--report", required=True, callback=plain_text, help="What was found, or where that stands.")
@key_option
@as_json
@click.pass_context
def review(ctx: click.Context, /, reference: str, *, has_passed: bool, as_json: bool, **words: Any) -> None:
    """Sign that you looked at a model that runs, and whether it may go on: with a key of your own.

    It renews the model's review (`gitml inventory`, gate `review_age`) without a promotion. `reviews` of policy.yaml
    says how often, and which roles may sign. Who made the version does not pass it. Exit code 1: you may not.
    """
    from gitml.promotion.review import ReviewOrder
    from gitml.promotion.review import review as sign

    with placed(ctx) as place:
        done = sign(place, ReviewOrder(reference, "passed" if has_passed else "failed", **words))
    if as_json:
        show_json(picked(done, "model", "version", "result", "by", "time", "event"))
    else:
        show(printable(f"{done.by} reviewed {done.model} {done.version}: {done.result}"))
        show(printable(done.event))
