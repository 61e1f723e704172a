"""``gitml replay``"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from gitml.cli.common import as_json, examples, moment, report_file, root_of, traffic_log, traffic_of


@click.command(
    epilog=examples(
        "gitml replay delay@3f2a90bc --in production --since 14d",
        "gitml replay mlp@latest delay@production         two models of one question",
    )
)
@click.argument("candidate")
@click.argument("champion", default="")
@click.option("--in", "environment", default="", metavar="ENVIRONMENT", help="Whose traffic is replayed.")
@click.option("--since", default="14d", metavar="TIME", help="From when on: a time, or how long ago, such as 14d.")
@click.option("--at", metavar="TIME", help="As the traffic was known then. Default: now.")
@traffic_log
@report_file
@as_json
@click.pass_context
def replay(ctx: click.Context, /, candidate: str, champion: str, *, as_json: bool, **options: Any) -> int:
    """Let a version answer logged requests, and judge it beside what the champion answered then.

    The rules are those of `canary` in policy.yaml. Nothing has to be deployed; a replay opens no gate by itself.
    Requests from the time that the candidate was trained on are left out. Refused where a feature that it needs was
    not logged. Exit codes as `gitml canary`.
    """
    from gitml.cli.canary import told
    from gitml.inference.candidate import TrialPlace
    from gitml.inference.replay import ReplayCall
    from gitml.inference.replay import replay as run

    folder, spool = traffic_of(ctx, options["folder"], None)
    call = ReplayCall(
        candidate, champion, options["environment"], _since(options["since"]), moment(options["at"], None)
    )
    found = run(TrialPlace(root_of(ctx), folder, spool), call)
    return told((found,), options["target"], as_json=as_json)


def _since(text: str) -> datetime | timedelta:
    from gitml.fields import WrongValueError, parse_duration

    try:
        return parse_duration(text)
    except WrongValueError:
        return moment(text, datetime.min)
