"""``gitml bias``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, moment, root_of, traffic_log, traffic_of
from gitml.errors import UsageError
from gitml.output import note, printable, show, show_json, table

if TYPE_CHECKING:
    from gitml.reports.biasfacts import BiasCount
    from gitml.verdict import Verdict

_JSON, _CSV, _PAGE = "bias.json", "bias.csv", "index.html"
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(
    epilog=examples(
        "gitml bias hire --in production --since 2026-01-01 --until 2026-07-01 --out bias-2026",
        "gitml bias hire --data holdout.parquet --label hired",
        "gitml bias hire --in production --against bias-2026/bias.json",
    )
)
@click.argument("model")
@click.option("--in", "environment", default="", metavar="ENVIRONMENT", help="Only what was served there.")
@click.option("--since", metavar="TIME", help="Answers from then on.")
@click.option("--until", metavar="TIME", help="Answers before then.")
@click.option("--at", metavar="TIME", help="As it was known then. Default: now.")
@click.option("--data", type=_FILE, metavar="FILE", help="Count the people of this table instead of live traffic.")
@click.option("--label", default="", metavar="COLUMN", help="Its column that says who turned out to be suited.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write JSON, CSV and a page there.")
@click.option("--against", type=_FILE, metavar="JSON", help="An earlier count: has a ratio left its interval?")
@traffic_log
@as_json
@click.pass_context
def bias(ctx: click.Context, /, model: str, *, as_json: bool, **options: Any) -> int:
    """Count whom a model selects, by sex, race and ethnicity, as New York's rules on hiring tools ask (6 RCNY § 5-301).

    The numbers are input for an independent auditor, not an audit, and none of them is a pass mark. Exit code 1 only
    with --against, if a ratio has left its interval; 3 if there is nothing to count or compare.
    """
    from gitml.governance.bias import bias as count
    from gitml.governance.bias import changed

    found = count(root_of(ctx), _call(ctx, model, options))
    verdict = changed(_earlier(options["against"]), found.to_dict()) if options["against"] else None
    if options["out"]:
        _write(options["out"], found)
    if as_json:
        show_json(found.to_dict() | ({"verdict": verdict} if verdict else {}))
    else:
        _show(found, verdict)
    return verdict.exit_code if verdict else 0


def _call(ctx: click.Context, model: str, options: dict[str, Any]) -> Any:
    from gitml.governance.bias import BiasCall
    from gitml.traffic.reader import Window

    if options["data"]:
        if (
            live := [f"--{name}" for name in ("since", "until", "at") if options[name]]
            + ["--in"][: bool(options["environment"])]
        ):
            raise click.UsageError(f"{live[0]} is for live traffic, and --data names a file")
        return BiasCall(model, data=options["data"], label=options["label"])
    if options["label"]:
        raise click.UsageError("--label is a column of --data; live traffic has its own labels")
    folder, spool = traffic_of(ctx, options["folder"], None)
    window = Window(*(moment(options[name], None) for name in ("since", "until", "at")))
    return BiasCall(model, options["environment"], folder, spool, window)


def _earlier(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
        if all(
            row.keys() >= {"category", "impact_ratio", "ratio_low", "ratio_high"}
            for one in found["tables"]
            for row in one["categories"]
        ):
            return dict(found)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise UsageError(f"{path} is not a count of `gitml bias`", "name the bias.json that --out wrote")


def _write(folder: Path, found: BiasCount) -> None:
    from gitml.evidence.export import csv_text
    from gitml.files import write_file
    from gitml.jsontext import pretty
    from gitml.reports.bias import bias_page
    from gitml.reports.biasfacts import CSV_COLUMNS

    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        _JSON: pretty(found.to_dict()).encode(),
        _CSV: csv_text([*found.csv_rows()], CSV_COLUMNS),
        _PAGE: bias_page(found),
    }
    for name, content in contents.items():
        write_file(folder / name, content)
        note(printable(str(folder / name)))


def _show(found: BiasCount, verdict: Verdict | None) -> None:
    from gitml.reports.bias import PURPOSE, cells, described, heads, measure_cells

    for text in described(found):
        show(printable(text))
    for one in found.tables:
        show("")
        rows = [[printable(cell) for cell in row] for row in cells(one)]
        show(table(rows, [one.title, *heads(found.kind)[1:]], right=range(1, 7)))
    if found.measures:
        show("")
        rows = [[printable(cell) for cell in row] for row in measure_cells(found.measures)]
        show(table(rows, ["table", "measure", "category", "value", "95 % interval"], right=[3, 4]))
    note(PURPOSE)
    if verdict:
        show(printable(f"{verdict.phase.value}: {verdict.reason}"))
