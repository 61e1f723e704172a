"""``gitml impact``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitml import spec
from gitml.cli.common import as_json, examples, interval, moment, number, root_of, traffic_log, traffic_of
from gitml.output import note, paint, printable, show, show_json, table
from gitml.verdict import Phase

if TYPE_CHECKING:
    from gitml.inference.impact import MetricBesideKpi
    from gitml.success.impact import ChangeImpact

_STYLE = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red"}


@click.command(
    epilog=examples(
        "gitml impact",
        "gitml impact delay --env production --since 2026-03-01",
        "gitml impact --at 2026-04-02T06:00 --json",
    )
)
@click.argument("model", required=False, default="", metavar="[MODEL]")
@click.option("--env", "environment", default="", metavar="ENVIRONMENT", help="Only changes there.")
@click.option("--since", metavar="TIME", help="Only changes from then on.")
@click.option("--at", metavar="TIME", help="As it was known then, as far as the sources know that. Default: now.")
@traffic_log
@as_json
@click.pass_context
def impact(ctx: click.Context, /, model: str, folder: str | None, *, as_json: bool, **options: Any) -> None:
    """Show what KPIs did 7, 14 and 28 days after each promotion, canary and rollback that the ledger knows.

    An association, never a gate: it is called clear only where two methods agree and nothing else changed in these
    days. Where a split of the traffic compared the two versions by unit, that stands first, because it is causal.
    """
    from gitml.inference.impact import ImpactCall, impacts

    root = root_of(ctx)
    kept = folder or spec.load_application(root).traffic is not None
    traffic, spool = traffic_of(ctx, folder, None) if kept else ("", None)
    times = {key: moment(options[key], None) for key in ("since", "at")}
    found = impacts(root, ImpactCall(traffic, spool, model, options["environment"], **times))
    if as_json:
        show_json(found)
        return
    for one in found.changes:
        _show(one)
    if not found.changes:
        note("the ledger knows of no change that a KPI is for: `gitml audit --fetch` brings the newest")
    if found.beside:
        _show_beside(found.beside)


def _show(one: ChangeImpact) -> None:
    pull = f" (#{one.change.pull})" if one.change.pull else ""
    show(paint(printable(f"{one.change}, {one.change.environment}{pull}"), "bold"))
    for causal in one.causal:
        found = interval(causal.low, causal.high, sign=True)
        show(printable(f"  by unit, in the split: {causal.kpi} {number(causal.difference, sign=True)} ({found})"))
    rows = [
        [
            f"  {result.kpi}",
            f"+{result.days} days",
            number(result.effect, sign=True),
            interval(result.low, result.high, sign=True),
            _money(result.a_month, result.currency),
            result.reason,
        ]
        for result in one.results
    ]
    lines = table(rows, ["  KPI", "", "a day", "95 % interval", "a month", ""], right=[2]).splitlines()
    for line, phase in zip(lines, (None, *(result.phase for result in one.results)), strict=bool(rows)):
        show(paint(line, _STYLE[phase]) if phase in _STYLE else line)
    if one.returns:
        back = one.returns
        said = f"{number(back.once)} once, {number(back.monthly)} a month {back.currency}"
        show(printable(f"  it took {said}" + "".join(f"; not known: {what}" for what in back.unknown)))
    if one.waits:
        show(f"  not over yet: {', '.join(f'{days} days' for days in one.waits)}")
    show()


def _money(month: tuple[float, float, float] | None, currency: str) -> str:
    return "" if month is None else f"{month[0]:+,.0f} {currency} ({month[1]:+,.0f} … {month[2]:+,.0f})"


def _show_beside(found: tuple[MetricBesideKpi, ...]) -> None:
    rows = [
        [
            one.kpi,
            f"{one.model} {one.metric}",
            number(one.found.correlation, sign=True),
            number(one.found.p_value),
            one.found.reason or f"{one.found.windows} windows",
        ]
        for one in found
    ]
    show(paint("changes of KPIs beside changes of metrics", "bold"))
    show(table(rows, ["KPI", "metric", "correlation", "p", ""], right=[2, 3]))
