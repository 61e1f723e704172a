"""``gitml traffic``"""

from __future__ import annotations

import click

from gitml import clock
from gitml.cli.common import as_json, examples, models_of, moment, traffic_log, traffic_of
from gitml.cli.groups import DefaultGroup
from gitml.cli.trafficexport import export
from gitml.output import printable, show, show_json, table


class TrafficGroup(DefaultGroup):
    """`gitml traffic MODEL` is `gitml traffic show MODEL`."""

    default = "show"


@click.group(
    cls=TrafficGroup,
    epilog=examples(
        "gitml traffic delay --since 2026-04-01 --until 2026-04-08",
        "gitml traffic export delay --in production",
    ),
)
def traffic() -> None:
    """Logged requests: what a window holds (`show`, which may be left out), and a data set of them (`export`)."""


traffic.add_command(export)


@traffic.command(
    name="show",
    epilog=examples(
        "gitml traffic delay --since 2026-04-01 --until 2026-04-08",
        "gitml traffic delay --in production --since 2026-04-01 --until 2026-04-08 --at 2026-04-09T06:00:00Z --json",
    ),
)
@click.argument("model")
@click.option("--in", "environment", default="", metavar="ENVIRONMENT", help="Only what was served there.")
@click.option("--since", required=True, metavar="TIME", help="Beginning: requests that arrived from then on.")
@click.option("--until", metavar="TIME", help="End, not included. Default: now.")
@click.option("--at", metavar="TIME", help="As it was known then; the answer never changes. Default: now.")
@traffic_log
@as_json
@click.pass_context
def show_traffic(ctx: click.Context, /, model: str, environment: str, *, as_json: bool, **options: str | None) -> int:
    """Show the requests of a window by arm, version and outcome, how many have labels, and whether it is complete.

    Exit code 3 unless every host that served in the window has passed its end. Times without a zone are UTC.
    """
    from gitml.inference.known import refuse_unknown
    from gitml.inference.traffic import summary
    from gitml.traffic.reader import Window

    now = clock.now()
    window = Window(moment(options["since"], now), moment(options["until"], now), moment(options["at"], now))
    folder, spool = traffic_of(ctx, options["folder"], None)
    refuse_unknown(folder, model, models_of(ctx))
    found = summary(folder, model, window, environment, spool=spool)
    rows = [[*key, str(count), str(labels)] for key, (count, labels) in found.rows.items()]
    head = ["arm", "version", "outcome", "rows", "labels"]
    if as_json:
        told = found.completeness
        show_json(
            {
                "state": told.state,
                "hosts": told.hosts,
                "missing": told.missing,
                "dropped": told.dropped,
                "rows": [dict(zip(head, [*key, *counts], strict=True)) for key, counts in found.rows.items()],
            }
        )
    else:
        show(printable(str(found.completeness)))
        if rows:
            show(table(rows, head))
    return 0 if found.completeness.state == "complete" else 3
