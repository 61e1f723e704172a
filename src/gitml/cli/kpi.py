"""``gitml kpi``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitml import spec
from gitml.cli.common import as_json, examples, moment, number, root_of, traffic_log, traffic_of
from gitml.output import note, paint, printable, show, show_json, table

if TYPE_CHECKING:
    from gitml.success.series import KpiSeries


@click.command(
    epilog=examples(
        "gitml kpi",
        "gitml kpi revenue --since 2026-03-01 --until 2026-04-01",
        "gitml kpi --env production --at 2026-04-02T06:00 --json",
    )
)
@click.argument("name", required=False, default="", metavar="[NAME]")
@click.option("--since", metavar="TIME", help="First day. Default: 30 days before the last.")
@click.option("--until", metavar="TIME", help="Where the window ends. Default: now.")
@click.option("--at", metavar="TIME", help="As it was known then, as far as the source knows that. Default: now.")
@click.option("--env", "environment", default="", metavar="ENVIRONMENT", help="Only KPIs of this environment.")
@traffic_log
@as_json
@click.pass_context
def kpi(ctx: click.Context, /, name: str, folder: str | None, *, as_json: bool, **options: Any) -> int:
    """Show KPIs by day: all of them in a line each, or one with its table.

    A day counts once it has been over for `mature`; days of which nothing is known are gaps, never zeros, unless
    gitml.yaml says that a day without facts is one on which nothing happened. Exit code 3: something could not be read.
    """
    from gitml.inference.kpis import KpiCall, kpis

    root = root_of(ctx)
    kept = folder or spec.load_application(root).traffic is not None
    traffic, spool = traffic_of(ctx, folder, None) if kept else ("", None)
    times = {key: moment(options[key], None) for key in ("since", "until", "at")}
    found = kpis(root, KpiCall(traffic, spool, name, options["environment"], **times))
    if as_json:
        show_json([one.to_dict() for one in found])
    elif name and not found[0].problem:
        _show_days(found[0])
    else:
        _show_all(found)
    for one in () if as_json else found:
        for said in (*one.notes, *([one.problem] if one.problem else [])):
            note(printable(f"{one.name}: {said}"))
    return 3 if any(one.problem or not one.known for one in found) else 0


def _show_all(found: tuple[KpiSeries, ...]) -> None:
    from gitml.reports.sparkline import sparkline

    rows = [
        [
            one.name,
            number(one.mean_of_last_week),
            one.kpi.unit,
            number(_change(one), sign=True),
            str(sum(day.value is None for day in one.days) or ""),
            sparkline([day.value for day in one.days]),
        ]
        for one in found
    ]
    show(table(rows, ["KPI", "a day", "", "on week before", "gaps", "days"], right=[1, 3, 4]))


def _change(one: KpiSeries) -> float | None:
    now, before = one.mean_of_last_week, one.mean_of_week_before
    return now - before if now is not None and before is not None else None


def _show_days(one: KpiSeries) -> None:
    from gitml.reports.sparkline import sparkline

    kpi = one.kpi
    if kpi.description:
        show(printable(kpi.description))
    show(f"{kpi.daily} of a day in {kpi.zone}; {kpi.better} is better")
    show(sparkline([day.value for day in one.days]))
    rows = [
        [f"{day.day:%Y-%m-%d %a}", number(day.value), f"{day.facts:,}", f"{day.units:,}", _said(day.mature, day.why)]
        for day in one.days
    ]
    text = table(rows, ["day", kpi.unit or "value", "facts", "units", ""], right=[1, 2, 3])
    for line, day in zip(text.splitlines(), (None, *one.days), strict=True):
        show(line if day is None or day.mature else paint(line, "dim"))


def _said(mature: bool, why: str) -> str:
    return "; ".join([*([why] if why else []), *([] if mature else ["facts may still come"])])
