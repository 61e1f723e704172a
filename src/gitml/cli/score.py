"""``gitml score``"""

from __future__ import annotations

import os
import time
from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of, traffic_of
from gitml.jsontext import picked
from gitml.output import Live, note, paint, printable, seconds, show, show_json


@click.command(
    epilog=examples(
        "gitml score delay@production --input flights/ --output scores/   all tables there, with what runs",
        "gitml score delay@3f2a --input april.csv --output april/ --keep flight",
        "gitml score delay@production --input flights/ --output scores/ --log --id flight",
        "gitml score delay --input s3://bucket/flights --output s3://bucket/scores --workers 4",
        "gitml score delay --input flights/ --output scores/ --engine spark --master spark://host:7077 --reject",
    )
)
@click.argument("reference", metavar="MODEL@ENVIRONMENT|DIGEST")
@click.option("--input", "source", required=True, metavar="PATH", help="A table or a folder of tables, or its URL.")
@click.option("--output", required=True, metavar="FOLDER", help="Where the scores go: an own folder, or its URL.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["parquet", "csv", "arrow"]),
    default="parquet",
    show_default=True,
    help="How the scores are written.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    help="Pass this column on; '*' for all. Default: those that the model does not take.",
)
@click.option("--reject", is_flag=True, help="Leave rows that do not fit out: they go to FOLDER/_rejected, with why.")
@click.option(
    "--engine",
    "name",
    metavar="NAME",
    default="",
    help="What runs it: local, spark or ray. Default: as gitml.yaml says, else local.",
)
@click.option("--master", default="", metavar="URL", help="The engine's cluster; without one it runs on this machine.")
@click.option("--memory", default="", metavar="SIZE", help="Of a process of the engine, such as 4g.")
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Processes on this machine; each takes a file at a time. Default: 1."
)
@click.option(
    "--log",
    is_flag=False,
    flag_value="",
    metavar="[FOLDER]",
    help="Tell the traffic of it, in this folder or URL; without one, where gitml.yaml says.",
)
@click.option("--id", "id_column", default="", metavar="COLUMN", help="With --log: the request ids of the rows.")
@as_json
@click.pass_context
def score(ctx: click.Context, /, reference: str, *, as_json: bool, **options: Any) -> None:
    """Score whole data sets with a version: Parquet, CSV or Arrow files, however large.

    One file of scores for each file of the input, in its order of rows. A file is scored exactly once: what is done is
    noted in the output folder, and the same call goes on where an earlier one stopped. Rows that do not fit the
    version's signature end it with the row and what is wrong there; with --reject they are left out and counted.

    With --log, inputs and answers are traffic like a server's, without private columns: each file is one request, and
    counts once however often the same version scores it. Labels name the request and the row, or the ids of --id.
    """
    # Libraries read this when they are loaded; a worker takes one core, not all.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from gitml.inference.score import ScoreCall
    from gitml.inference.score import score as run
    from gitml.inference.scoreengine import EngineWish

    engine = EngineWish(options.pop("name"), options.pop("workers") or 0, options.pop("master"), options.pop("memory"))
    options["log"] = _log(ctx, options.pop("log"), options.pop("id_column"))
    options["input"], options["keep"] = options.pop("source"), options["keep"] or None
    progress = _Progress()
    with Live("  scoring", progress.line):
        result = run(
            root_of(ctx), reference, ScoreCall(**options, engine=engine, tell=progress.read, say=progress.done)
        )
    if as_json:
        show_json(_json(result))
    else:
        _show(result, options["output"], progress)


def _log(ctx: click.Context, folder: str | None, id_column: str) -> Any:
    from gitml.inference.scorelog import ScoreLog

    if folder is None:
        if id_column:
            raise click.UsageError("--id says what rows are called in the traffic: it needs --log")
        return ScoreLog()
    place, spool = traffic_of(ctx, folder, None)
    if spool is None and "://" in place:
        spool = root_of(ctx) / ".dvc" / "tmp" / "gitml" / "log"
    return ScoreLog(place, spool, id_column=id_column)


class _Progress:
    """What the line on the terminal says."""

    def __init__(self) -> None:
        self.rows = self.files = 0
        self.began = time.monotonic()

    def read(self, rows: int) -> None:
        self.rows += rows

    def done(self, _: object) -> None:
        self.files += 1

    def line(self) -> str:
        rate = self.rows / max(time.monotonic() - self.began, 1e-9)
        return f"{self.files:,} files done, {self.rows:,} rows, {rate:,.0f} rows a second"


def _show(result: Any, output: str, progress: _Progress) -> None:
    took = time.monotonic() - progress.began
    head = paint(f"{result.record.reference}: {_files(len(result.scored))} scored", "bold")
    again = f", {_files(len(result.before))} before" if result.before else ""
    show(f"{head}{again}, {result.rows:,} rows in {printable(output)}  ({seconds(took)})")
    for column, count in sorted(result.unknown.items()):
        note(f"{printable(column)}: {count:,} {'word' if count == 1 else 'words'} that the model does not know")
    if result.rejected:
        where = printable(f"{output.rstrip('/')}/_rejected")
        note(f"left out, for they do not fit: {result.rejected:,} row{'s'[: result.rejected > 1]}, in {where}")
    if result.left_out:
        more = f" and {len(result.left_out) - 1} more" if len(result.left_out) > 1 else ""
        note(f"left out, no table by its ending: {printable(result.left_out[0])}{more}")


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def _json(result: Any) -> dict[str, Any]:
    return {
        **picked(result.record, "model", "version"),
        **picked(result, "rows", "rejected", "unknown", "left_out"),
        "scored": [picked(n, "input", "output", "rows") for n in result.scored],
        "before": [picked(n, "input", "output", "rows") for n in result.before],
    }
