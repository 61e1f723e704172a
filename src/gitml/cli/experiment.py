"""``gitml experiment``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples, moment, report_file, root_of, traffic_log, traffic_of


@click.command(
    epilog=examples(
        "gitml experiment delay --in production --kpi rebooked",
        "gitml experiment delay --in production --kpi cost --margin 0.2 --report experiment.md",
    )
)
@click.argument("model")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Where its traffic is split.")
@click.option("--kpi", default="", metavar="KPI", help="One of `kpis` in gitml.yaml. Default: as policy.yaml says.")
@click.option("--margin", type=float, help="How much worse it may be, in the KPI's unit. Default: it must be better.")
@click.option("--at", metavar="TIME", help="As main and the traffic were then. Default: the last look of the schedule.")
@traffic_log
@report_file
@as_json
@click.pass_context
def experiment(ctx: click.Context, /, model: str, environment: str, *, as_json: bool, **options: Any) -> int:
    """Judge an A/B test: champion and canary of split traffic, by what happened to each unit afterwards.

    The same judgement as `gitml canary`, with a KPI in place of the metric on labels, over a full week at least.
    Exit codes as `gitml canary`.
    """
    from gitml.cijobs.canaryjudge import CanaryCall, ExperimentOrder
    from gitml.cijobs.canaryjudge import experiment as judge
    from gitml.cli.canary import told
    from gitml.inference.candidate import TrialPlace

    folder, spool = traffic_of(ctx, options["folder"], None)
    call = CanaryCall((model,), environment, moment(options["at"], None))
    order = ExperimentOrder(options["kpi"], options["margin"])
    found = judge(TrialPlace(root_of(ctx), folder, spool), call, order)
    return told(found, options["target"], as_json=as_json)
