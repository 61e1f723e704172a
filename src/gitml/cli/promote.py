"""``gitml promote``"""

from __future__ import annotations

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import anew_option, placed, plain_text, tell
from gitml.promotion.promote import PromoteOrder
from gitml.promotion.promote import promote as run_promote
from gitml.refs import parse


@click.command(
    epilog=examples(
        "gitml promote delay@latest --to staging",
        "gitml promote delay@3f2a90bc --to production --as canary --weight 10",
        "gitml promote delay@staging --to production --reason 'two good weeks in staging'",
    )
)
@click.argument("reference")
@click.option("--to", "environment", required=True, metavar="ENVIRONMENT", help="An environment of policy.yaml.")
@click.option(
    "--as",
    "part",
    type=click.Choice(["champion", "canary", "shadow"]),
    default="champion",
    show_default=True,
    help="champion answers all, canary a part, shadow nobody.",
)
@click.option(
    "--weight",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    help="Percent of the traffic that a canary answers; 10 by default.",
)
@click.option("--reason", callback=plain_text, help="Why, for those who read it later.")
@click.option(
    "--anyway",
    is_flag=True,
    help="Open it also during a freeze or hold, or before an upstream's promotion; its gate stays shut until then.",
)
@anew_option
@as_json
@click.pass_context
def promote(
    ctx: click.Context, /, reference: str, environment: str, part: str, weight: float | None, reason: str, **flags: bool
) -> None:
    """Propose a version for an environment, by a pull request that edits models/MODEL/ENVIRONMENT.yaml.

    Works on the default branch as the forge has it now; the work tree is not touched. Called again it brings the open
    pull request up to date. Needs GITHUB_TOKEN. Exit code 3: a freeze or hold is in force.
    """
    with placed(ctx) as place:
        order = PromoteOrder(
            parse(reference),
            environment,
            part=part,  # type: ignore[arg-type]  # one of click's choices
            weight=weight,
            reason=reason,
            anyway=flags["anyway"],
            anew=flags["anew"],
        )
        done = run_promote(place, order)
    tell(done, as_json=flags["as_json"])
