"""``gitml rollback`` and ``gitml resume``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import anew_option, placed, reason_option, tell, until_option
from gitml.promotion.rollback import RollbackOrder
from gitml.promotion.rollback import resume as run_resume
from gitml.promotion.rollback import rollback as run_rollback


@click.command(
    epilog=examples(
        "gitml rollback delay --in production --reason 'alerts doubled since noon'",
        "gitml rollback delay --in production --to 8d6bbf4c --until 2026-12-01 --reason 'known to be good'",
    )
)
@click.argument("model")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Where.")
@click.option("--to", metavar="VERSION", default="", help="A version that ran there; by default the last good one.")
@until_option
@reason_option
@anew_option
@as_json
@click.pass_context
def rollback(ctx: click.Context, /, *, as_json: bool, **words: Any) -> None:
    """Go back to the last good version, by a pull request that also stops promotions.

    Needs the history of the deployment file and nothing else: freezes, broken records, deleted artifacts or a CI that
    cannot train do not matter. One approval is enough. `gitml resume` ends the hold.
    """
    with placed(ctx) as place:
        done = run_rollback(place, RollbackOrder(**words))
    tell(done, as_json=as_json)


@click.command(
    epilog=examples(
        "gitml resume delay --in production --reason 'the feed is repaired'",
        "gitml resume delay@3f2a90bc --in production --reason 'it failed on labels that were wrong'",
    )
)
@click.argument("model", metavar="MODEL[@VERSION]")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Where.")
@reason_option
@anew_option
@as_json
@click.pass_context
def resume(ctx: click.Context, /, model: str, environment: str, reason: str, *, anew: bool, as_json: bool) -> None:
    """End the hold of an environment, or of a version there, by a pull request that takes it out of its file."""
    model, _, version = model.partition("@")
    with placed(ctx) as place:
        done = run_resume(place, RollbackOrder(model, environment, reason, to=version, anew=anew))
    tell(done, as_json=as_json)
