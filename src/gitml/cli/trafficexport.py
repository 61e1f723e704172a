"""``gitml traffic export``"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gitml.cli.common import as_json, examples, moment, root_of, traffic_log, traffic_of
from gitml.errors import UsageError
from gitml.output import note, printable, show, show_json

_ARMS = ("champion", "canary", "asked")


@click.command(
    epilog=examples(
        "gitml traffic export delay --in production --label late",
        "gitml traffic export delay --in production --since 2026-11-01 --until 2026-12-01 --at 2026-12-02T06:00:00Z",
        "gitml traffic export delay --in production --since 2026-11-29 --until 2026-11-30 --revise",
    )
)
@click.argument("model")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Only what was served there.")
@click.option("--since", metavar="DAY", help="The first day. Default: the first one that has traffic.")
@click.option("--until", metavar="DAY", help="The day after the last one. Default: as far as labels have come.")
@click.option("--at", metavar="TIME", help="As it was known then; the bytes never change. Default: now.")
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="FOLDER", help="Default: data/traffic/MODEL.")
@click.option("--label", default="label", show_default=True, metavar="COLUMN", help="What the label is to be called.")
@click.option("--labels-within", metavar="TIME", help="When labels have come, such as 1d. Default: as gitml.yaml says.")
@click.option(
    "--arm",
    "arms",
    multiple=True,
    type=click.Choice(_ARMS),
    help="Whose rows; may be given several times. Default: champion and canary. Shadows never.",
)
@click.option("--revise", is_flag=True, help="Write partitions of the window again, and say what changed.")
@click.option("--incomplete", is_flag=True, help="Also days of which a host did not tell all; the lineage says so.")
@traffic_log
@as_json
@click.pass_context
def export(ctx: click.Context, /, model: str, *, as_json: bool, **options: Any) -> int:
    """Write answered requests and their labels as one Parquet file a day, for training.

    A day is written once its labels have come, and then never again unless you say --revise. Beside the folder a
    lineage file says for each day what it was made of: the moment, the versions that answered and their weights, the
    digest, and what was left out. Run it on main: it reads live traffic, which jobs of branches must not.
    Exit code 3 if a day that was asked for is not there yet, a host has not told all of it, or a partition here has
    other bytes than its lineage says.
    """
    from gitml.inference.known import refuse_unknown
    from gitml.inference.trafficexport import ExportPlace, export_traffic
    from gitml.spec import load_application

    root = root_of(ctx)
    app = load_application(root)
    folder, spool = traffic_of(ctx, options["folder"], None)
    refuse_unknown(folder, model, list(app.models))
    place = ExportPlace(folder, options["target"] or root / "data" / "traffic" / model, spool)
    found = export_traffic(place, _call(app, model, options), lambda day: None if as_json else _say(day))
    if as_json:
        days = [
            {"day": d.day, "state": d.state, "rows": d.rows, "unlabelled": d.unlabelled, "why": d.why}
            for d in found.days
        ]
        show_json({"folder": str(found.target), "lineage": str(found.lineage), "at": found.at, "days": days})
    elif not any(day.state in ("written", "revised") for day in found.days):
        show("nothing new")
    return 3 if found.left else 0


def _call(app: Any, model: str, options: dict[str, Any]) -> Any:
    from gitml.inference.exportlineage import ExportSettings
    from gitml.inference.trafficexport import ExportCall
    from gitml.traffic.private import EVERY_COLUMN

    if options["label"] in app.private or EVERY_COLUMN in app.private:
        raise UsageError(f"{options['label']} is private: it may not be exported", "see `private` in gitml.yaml")
    settings = ExportSettings(
        model=model,
        environment=options["environment"],
        arms=tuple(arm for arm in _ARMS if arm in (options["arms"] or _ARMS[:2])),
        label=options["label"],
        labels_within=int(_within(app, model, options["labels_within"]).total_seconds()),
    )
    return ExportCall(
        settings,
        _day(options["since"]),
        _day(options["until"]),
        moment(options["at"], None),
        app.private,
        options["revise"],
        options["incomplete"],
    )


def _within(app: Any, model: str, text: str | None) -> Any:
    from gitml.fields import WrongValueError, parse_duration

    spec = app.monitors.models.get(model)
    if text is None and spec is not None:
        return spec.harm.labels_within or spec.window
    try:
        if text is not None:
            return parse_duration(text)
    except WrongValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--labels-within") from exc
    raise UsageError(
        f"when labels of {model} have come is not known",
        "name it with --labels-within, or add `harm: {labels_within: 1d}` to its monitor in gitml.yaml",
    )


def _day(text: str | None) -> datetime | None:
    found = moment(text, None)
    if found is not None and (found.hour or found.minute or found.second or found.microsecond):
        raise click.BadParameter(f"{text!r} is not a day such as 2026-11-29: partitions are whole days (UTC)")
    return found


def _say(day: Any) -> None:
    if day.state == "kept":
        return
    told = f"{day.rows:,} rows" if day.state in ("written", "revised", "unchanged") else ""
    some = f", {day.unlabelled:,} without a label left out" if told and day.unlabelled else ""
    line = printable(f"{day.day}  {day.state}  {told}{some}{'; ' if told and day.why else ''}{day.why}")
    (note if day.state in ("waiting", "incomplete", "altered") else show)(line.rstrip())
