"""``gitml monitor``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gitml.cli.common import as_json, examples, moment, number, report_file, root_of, traffic_log, traffic_of
from gitml.cli.performance import show_performance
from gitml.output import note, paint, printable, show, show_json, table
from gitml.verdict import EXIT_CODES, Phase, worst

_STYLE = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "red"}
_HEAD = ("column", "moved", "effect", "interval", "floor", "rows", "effective", "looks", "")
_NAMED = 5
_RIGHT = (2, 4, 5, 6, 7)


@click.command(
    epilog=examples(
        "gitml monitor                                    all that serves, the newest window",
        "gitml monitor delay --in production --at 2026-04-20T06:00:00Z",
        "gitml monitor delay --since 2026-04-13 --until 2026-04-20 --json",
        "gitml monitor delay --in production --report look.md",
    )
)
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--in", "environment", default="", metavar="ENVIRONMENT", help="Only what serves there.")
@click.option("--since", metavar="TIME", help="Beginning of another window than the newest of the schedule.")
@click.option("--until", metavar="TIME", help="Its end, not included. Default: that of the newest window that is over.")
@click.option("--at", metavar="TIME", help="As it was known then; the answer never changes. Default: now.")
@traffic_log
@report_file
@as_json
@click.pass_context
def monitor(ctx: click.Context, /, models: tuple[str, ...], environment: str, *, as_json: bool, **options: Any) -> int:
    """Look at the newest window of live traffic of each model: quality of the data, drift, harm.

    Three verdicts, apart: whether the data keep their contract, whether columns have moved away from the version's
    reference, and whether the model is worse than its evaluation on the labels that have come. What is watched, and
    how rarely an alarm may be false, stands under `monitors` in gitml.yaml. Exit code 1 if any failed, 3 if any could
    not be told. Times without a zone are UTC.
    """
    from gitml.inference.monitor import MonitorCall
    from gitml.inference.monitor import monitor as look
    from gitml.inference.monitorreport import write_report

    since, until, at = (moment(options[name], None) for name in ("since", "until", "at"))
    folder, spool = traffic_of(ctx, options["folder"], None)
    call = MonitorCall(folder, models, environment, since, until, at, spool)
    found = look(root_of(ctx), call)
    if options["target"] and not write_report(options["target"], root_of(ctx), call, found):
        note("the report has no pictures: pip install 'gitml[report]'")
    if as_json:
        show_json([one.to_dict() for one in found])
    else:
        for place, one in enumerate(found):
            if place:
                show()
            _show(one, options["folder"])
    return EXIT_CODES[worst(verdict for one in found for verdict in one.verdicts.values())]


def _show(one: Any, folder: str | None) -> None:
    first = next((v for v in one.verdicts.values() if v.phase == one.phase), None)
    said = first.reason if first else "everything is turned off"
    show(paint(printable(f"{one.model} in {one.environment}: {said}"), "bold"))
    show(_window(one))
    show()
    width = max(map(len, one.verdicts), default=0)
    for name, verdict in one.verdicts.items():
        phase = paint(f"{verdict.phase.value:<12}", _STYLE[verdict.phase])
        show(f"{name:<{width}}  {phase}  {printable(verdict.reason)}")
    for breach in one.breaches[1:]:
        show(f"  {printable(str(breach))}")
    if one.columns:
        show()
        show(table([row for column in one.columns for row in _rows(column)], _HEAD, right=_RIGHT))
    for change in one.performance.changes if one.performance else ():
        show(printable(f"shown only: {change}"))
    mix = one.verdicts["drift"].measurements.get("mix") if "drift" in one.verdicts else ""
    if mix:
        show(printable(f"held fixed, reported only: {mix}"))
    for found in one.detections:
        show(printable(_detected(found)))
    if one.outliers:
        show(printable(_outliers(one.outliers)))
    show()
    if one.report:
        show_performance(one.report)
    _promise(one)
    show(_again(one, folder))


def _window(one: Any) -> str:
    parts = [f"{one.since:%a %Y-%m-%d %H:%M} to {one.until:%a %Y-%m-%d %H:%M} UTC", f"{one.rows:,} rows"]
    if len(one.looks) > 1:
        parts.append(f"{one.rows_of_looks:,} with the {len(one.looks) - 1} windows before")
    known = one.completeness
    if known and known.hosts:
        parts.append(str(known))
    elif known and known.state == "waiting":
        parts.append("no server or job has reported yet: rows count about a minute after they came")
    return printable(f"version {one.version}; " + "; ".join([*parts, *([one.unread] if one.unread else [])]))


def _rows(column: Any) -> Iterator[list[str]]:
    worst_one = column.worst
    shown = [worst_one] if worst_one else []
    if len(column.effects) > 1 and all(effect.drifted for effect in column.effects):
        shown = [*column.effects]
    if not shown:
        yield [column.column, column.shown, "", "", "", "", "", "", _mark(column)]
    for effect in shown:
        missing = effect.of == "missing"
        name = f"{column.column}, missing" if missing else column.column
        moved = f"{effect.direction:+.1%} of rows" if missing else column.shown
        yield [
            name, moved, f"{effect.estimate:.3f}", f"{effect.low:.3f} … {effect.high:.3f}", number(effect.floor),
            f"{effect.rows:,}", f"{effect.effective:,.0f}", str(effect.window), _mark(column),
        ]  # fmt: skip


def _mark(column: Any) -> str:
    if column.muted:
        return f"muted: {column.muted}"
    if column.drifted:
        return "drifted"
    if column.needed is None:
        within = f", {column.reachable} is within reach" if column.reachable else ""
        return f"too few rows in the reference for this floor{within}"
    return f"too little: about {column.needed:,} rows are needed" if column.needed else ""


def _detected(found: Any) -> str:
    by = getattr(found, "by", "")
    if found.p_val is None:
        return f"{found.name}: {found.shown_only}{by and f'; by {by}'}"
    within = "" if found.low is None else f" ({found.low:.3f} … {found.high:.3f})"
    parts = [f"{found.name}: {found.distance:.3f}{within}", f"p {found.p_val:.2g} against {found.threshold:.2g}"]
    parts += [", ".join(column.column for column in found.columns[:_NAMED])] if found.columns else []
    if by:
        parts.append(f"{by}: {'drift' if found.alibi['is_drift'] else 'no drift'} by its own threshold")
    parts += [f"shown only: {found.shown_only}"] if found.shown_only else []
    return "; ".join([*parts, *(["alarm"] if found.alarms else [])])


def _outliers(found: Any) -> str:
    if found.lacking:
        return f"outliers: {found.lacking}"
    parts = [f"outliers: {found.share:.1%} of {found.rows:,} rows, {found.usual:.1%} of the training's"]
    effect = found.effect
    if found.p is not None:
        parts.append(f"p {found.p:.2g} against {found.level:.2g}, by {found.days} days")
    elif effect is None:
        parts.append("too few rows or days to tell")
    else:
        parts.append(f"apart by {effect.low:.3f} … {effect.high:.3f}, floor {number(effect.floor)}")
    parts += [f"muted: {found.muted}"] if found.muted else ["alarm"] if found.drifted else []
    strangest = ", ".join(f"{one.request_id} row {one.row}" for one in found.strangest)
    return "; ".join(parts) + (f"\n  the strangest: {strangest}" if strangest else "")


def _promise(one: Any) -> None:
    if not one.scheduled:
        show("This window is beside the schedule: the promise about false alarms does not cover it.")
    else:
        columns = one.promise.columns
        show(f"Promised: one false alarm in {one.years} years of such looks, over all columns watched ({columns}).")
        show(f"Next look: {one.next_look:%Y-%m-%d %H:%M} UTC")
    if one.reference and not any(part.alike for part in one.reference.parts):
        note("rows are taken as independent: the reference was written without --time and --unit")
    own = one.reference.own if one.reference else None
    if own and own.alarms:
        names = ", ".join(name.partition("_")[2] for name in own.alarms)
        note(
            printable(f"the reference's own periods would alarm too: {names}; raise their floors, see gitml reference")
        )


def _again(one: Any, folder: str | None) -> str:
    words = ["gitml monitor", one.model, "--in", one.environment]
    if not one.scheduled:
        words += ["--since", f"{one.since:%Y-%m-%dT%H:%M:%SZ}", "--until", f"{one.until:%Y-%m-%dT%H:%M:%SZ}"]
    words += [
        "--at",
        f"{one.at:%Y-%m-%dT%H:%M:%SZ}",
        *(["--log", folder] if folder else []),
    ]
    return printable("Look yourself: " + " ".join(words))
