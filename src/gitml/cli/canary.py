"""``gitml canary``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gitml.cli.canarystop import stop
from gitml.cli.common import as_json, examples, moment, number, report_file, root_of, traffic_log, traffic_of
from gitml.cli.groups import DefaultGroup
from gitml.output import note, paint, printable, show, show_json, table
from gitml.verdict import EXIT_CODES, Phase, worst

_STYLE = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "red"}
_HEAD = ("", "champion", "candidate", "difference", "between", "margin", "units", "events", "")
_RIGHT = (1, 2, 3, 5, 6, 7)
_SHOWN = ("guardrail", "disagreement", "primary", "kpi")


class CanaryGroup(DefaultGroup):
    """`gitml canary MODEL` is `gitml canary look MODEL`."""

    default = "look"


@click.group(
    cls=CanaryGroup,
    epilog=examples(
        "gitml canary                                     every candidate beside a champion",
        "gitml canary delay --in production --at 2026-04-20T06:00:00Z",
        "gitml canary stop delay --in production --reason 'complaints from the desk'",
    ),
)
def canary() -> None:
    """Candidates beside the champion: how they do (`look`, which may be left out), and an end to one (`stop`)."""


canary.add_command(stop)


@canary.command(
    epilog=examples(
        "gitml canary                                     every candidate beside a champion",
        "gitml canary delay --in production --at 2026-04-20T06:00:00Z",
        "gitml canary delay --in production --report canary.md --json",
    )
)
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--in", "environment", default="", metavar="ENVIRONMENT", help="Only what stands there.")
@click.option("--at", metavar="TIME", help="As main and the traffic were then. Default: the last look of the schedule.")
@traffic_log
@report_file
@as_json
@click.pass_context
def look(ctx: click.Context, /, models: tuple[str, ...], environment: str, *, as_json: bool, **options: Any) -> int:
    """Judge candidates beside the champion on live traffic: canaries and shadows, as the bot judges them.

    The rules stand in policy.yaml, under `canary` of an environment. The judgement keeps its error rate however often
    one looks. Exit code 0 if the candidate passes, 1 if it failed, 3 while it cannot be told, 4 where the log is
    broken. Times without a zone are UTC.
    """
    from gitml.cijobs.canaryjudge import CanaryCall
    from gitml.cijobs.canaryjudge import canary as judge
    from gitml.inference.candidate import TrialPlace

    folder, spool = traffic_of(ctx, options["folder"], None)
    call = CanaryCall(models, environment, moment(options["at"], None))
    found = judge(TrialPlace(root_of(ctx), folder, spool), call)
    return told(found, options["target"], as_json=as_json)


def told(found: tuple[Any, ...], target: Path | None, *, as_json: bool) -> int:
    """Show evaluations, and write their report; the exit code of all together."""
    if target:
        from gitml.inference.canaryreport import write_report

        if not write_report(target, found):
            note("the report has no picture: pip install 'gitml[report]'")
    if as_json:
        show_json([one.to_dict() for one in found])
    for place, one in enumerate(() if as_json else found):
        if place:
            show()
        _show(one)
    return EXIT_CODES[worst(one.verdict for one in found)]


def _show(one: Any) -> None:
    short = one.candidate.version.rpartition("-")[2]
    show(paint(printable(f"{one.model}@{short} in {one.environment}, {one.mode}: {one.phase.value}"), "bold"))
    show(paint(printable(one.reason), _STYLE[one.phase]))
    show()
    rows = [_row(part) for part in one.parts if part.part in _SHOWN]
    if rows:
        show(table(rows, _HEAD, right=_RIGHT))
        show()
    for part in one.parts:
        if part.part not in _SHOWN:
            phase = paint(f"{part.phase.value:<12}", _STYLE[part.phase])
            show(f"{phase}  {printable(part.reason)}")
    for said in one.notes:
        show(printable(said))
    show()
    _schedule(one)


def _row(part: Any) -> list[str]:
    between = f"{number(part.low, sign=True)} … {number(part.high, sign=True)}"
    units, events = (_both(counts) for counts in (part.n, part.events))
    said = part.phase.value + (f": {part.needed}" if part.needed else "")
    known = part.low is not None or part.high is not None
    return [
        printable(part.name), number(part.champion), number(part.candidate), number(part.difference, sign=True),
        between if known else "", number(part.margin) if part.margin is not None else "", units, events, said,
    ]  # fmt: skip


def _both(counts: Any) -> str:
    if counts.champion is None and counts.candidate is None:
        return ""
    return f"{counts.champion or 0:,} / {counts.candidate or 0:,}"


def _schedule(one: Any) -> None:
    window = f"{one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC"
    if one.mode == "replay":
        show(window)
        return
    show(f"{window}; expires {one.ends:%Y-%m-%d %H:%M} UTC")
    if one.next_look and one.at < one.ends:
        show(f"Next look: {one.next_look:%Y-%m-%d %H:%M} UTC")
    if one.step.next is not None:
        following = "champion" if one.step.next == "champion" else f"{one.step.next:g} %"
        ready = "ready for" if one.step.ready else "not ready for"
        show(f"At {one.step.weight:g} % of the traffic, {ready} {following}")
