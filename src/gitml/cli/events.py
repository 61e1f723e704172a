"""``gitml events``"""

from __future__ import annotations

from pathlib import Path

import click

from gitml.cli.common import as_json, examples, traffic_log, traffic_of
from gitml.output import note, show, show_json


@click.group(epilog=examples("gitml events add april.csv --log serving/log"))
def events() -> None:
    """Business events, which KPIs are made of."""


@events.command(
    epilog=examples(
        "gitml events add april.csv --log serving/log",
        "gitml events add april.parquet --log s3://bucket/log --spool /var/lib/gitml/spool",
    )
)
@click.argument("table", metavar="FILE")
@traffic_log
@click.option("--spool", type=click.Path(path_type=Path), help="Local folder to gather in; object stores need one.")
@as_json
@click.pass_context
def add(ctx: click.Context, /, table: str, folder: str | None, *, spool: Path | None, as_json: bool) -> None:
    """Add the business events in a FILE: Parquet, CSV or Arrow, with the columns unit, time, name and perhaps value
    and id.

    An event with an id counts once, however often it is added.
    """
    from gitml.inference.labels import add_events

    count = add_events(table, *traffic_of(ctx, folder, spool))
    if as_json:
        show_json({"kept": count})
        return
    show(f"{count:,} {'event' if count == 1 else 'events'} kept")
    if count == 0:
        note(f"{table} has no rows")
