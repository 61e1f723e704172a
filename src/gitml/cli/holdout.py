"""``gitml holdout``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gitml.cli.common import as_json, examples, interval, number, report_file, root_of
from gitml.output import note, paint, printable, show, show_json, table
from gitml.verdict import Phase

_STYLE = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "red"}
_HEAD = ("rows", "metric", "other", "here", "difference", "between", "")


@click.command(
    epilog=examples(
        "gitml holdout delay@latest",
        "gitml holdout delay@3f2a90bc delay@production --report holdout.md",
    )
)
@click.argument("challenger")
@click.argument("champion", default="")
@report_file
@as_json
@click.pass_context
def holdout(ctx: click.Context, /, challenger: str, champion: str, target: Path | None, *, as_json: bool) -> int:
    """Compare two versions on the same rows: the hold-out of the one, that of the other, and exported traffic.

    Metrics of versions that were judged on different rows do not compare: an easier month makes each model better.
    Which rows these are, gitml.yaml says under `holdout`. Without CHAMPION it is the version that would be replaced.
    Exit code 0 if the challenger is better, 1 if it is worse, 3 if neither can be told.
    """
    from gitml.inference.holdout import holdout as compare
    from gitml.jsontext import plain
    from gitml.reports.holdout import verdict
    from gitml.spec import load_application

    root = root_of(ctx)
    told = compare(root, challenger, champion)
    assert told.holdout is not None
    found = verdict(told.holdout)
    if target:
        from gitml.inference.holdoutreport import write_report

        if not write_report(target, load_application(root).application, told):
            note("the report has no picture: pip install 'gitml[report]'")
    if as_json:
        show_json({"model": told.name, "version": told.version, "verdict": plain(found), **plain(told.holdout)})
    else:
        _show(told, found)
    return found.exit_code


def _show(told: Any, found: Any) -> None:
    held = told.holdout
    against = f"{told.name} {told.version} against {held.version} ({held.name}): {found.phase.value}"
    show(paint(printable(against), "bold"))
    show(paint(printable(found.reason), _STYLE[found.phase]))
    rows = [
        [
            one.rowset.value if not place else "",
            row.metric,
            number(row.old),
            number(row.new),
            number(row.value, sign=True),
            interval(row.low, row.high, sign=True),
            row.reading.value if not (one.seen or one.why) else "not judged",
        ]
        for one in held.sets
        for place, row in enumerate(one.metrics)
    ]
    if rows:
        show()
        show(table(rows, _HEAD, right=(2, 3, 4)))
    for one in held.sets:
        if one.flips:
            share = f"{one.flips.share:.1%} ({one.flips.low:.1%} to {one.flips.high:.1%})"
            show(printable(f"{one.rowset.value}: {one.rows:,} rows, {share} of decisions flip"))
        if one.why and one.why != found.reason:
            show(printable(f"{one.rowset.value}: not compared, {one.why}"))
    if held.like_traffic:
        _show_likeness(held.like_traffic)
    for said in held.notes:
        show(printable(said))


def _show_likeness(found: Any) -> None:
    if found.why:
        show(printable(f"whether the hold-out is like live traffic is not known: {found.why}"))
        return
    for one in found.apart:
        what = "" if one.of == "values" else " in missing values"
        far = f"{one.estimate:.2f} ({one.low:.2f} to {one.high:.2f})"
        show(paint(printable(f"not like live traffic: {one.column}{what}, {far} {one.shown}"), "yellow"))
