"""``gitml labels``"""

from __future__ import annotations

from pathlib import Path

import click

from gitml.cli.common import as_json, examples, models_of, traffic_log, traffic_of
from gitml.output import note, show, show_json


@click.group(epilog=examples("gitml labels add delay april.csv --log serving/log"))
def labels() -> None:
    """What really happened, for the predictions in a log."""


@labels.command(
    epilog=examples(
        "gitml labels add delay april.csv --log serving/log",
        "gitml labels add delay april.parquet --log s3://bucket/log --spool /var/lib/gitml/spool",
    )
)
@click.argument("model")
@click.argument("table", metavar="FILE")
@traffic_log
@click.option("--spool", type=click.Path(path_type=Path), help="Local folder to gather in; object stores need one.")
@as_json
@click.pass_context
def add(
    ctx: click.Context, /, model: str, table: str, folder: str | None, *, spool: Path | None, as_json: bool
) -> None:
    """Add the labels of MODEL in a FILE: Parquet, CSV or Arrow, with the columns request_id, label and perhaps row and
    caller.

    A label for the same row again is a correction: the last one counts.
    """
    from gitml.inference.labels import add_labels

    count = add_labels(model, table, *traffic_of(ctx, folder, spool), models=models_of(ctx))
    if as_json:
        show_json({"model": model, "kept": count})
        return
    show(f"{model}: {count:,} {'label' if count == 1 else 'labels'} kept")
    if count == 0:
        note(f"{table} has no rows")
