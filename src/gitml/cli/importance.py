"""``gitml importance``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.output import printable, show, show_json, table


@click.command(
    epilog=examples(
        "gitml importance delay                                 on the rows under `holdout` of gitml.yaml",
        "gitml importance delay --rows data/test.parquet --label late --time day",
    )
)
@click.argument("model")
@click.option("--rows", default="", metavar="PATH", help="Held-out rows. Default: `holdout` of gitml.yaml.")
@click.option("--label", default="", metavar="COLUMN", help="Their column that says what really happened.")
@click.option("--time", default="", metavar="COLUMN", help="When each row was: rows of a day are alike.")
@click.option("--unit", default="", metavar="COLUMN", help="Whose row it is, such as a customer: theirs are alike.")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(2, 100), help="Times of each input.")
@click.option("--curves", default=3, show_default=True, type=click.IntRange(0, 10), help="Inputs with a curve.")
@as_json
@click.pass_context
def importance(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Write how much each input of MODEL matters: by how much its metric gets worse when the values of the input change
    places among the held-out rows, with 95 % intervals; and what it answers as the most important ones change.

    A stage calls it after the evaluation. It goes to the path that gitml.yaml has under `importance`, and so into the
    record; the report on a pull request says what changed since the version before. The metric is the first under
    `better` that labels and answers tell. Values that fewer than 20 rows have, and those of private inputs, are not
    named. Exit code 3 if the rows cannot tell.
    """
    from gitml.inference.importance import ImportanceCall, write_importance
    from gitml.jsontext import plain
    from gitml.reports.figures import between, decimals, figure

    root = root_of(ctx)
    path, told = write_importance(root, ImportanceCall(**options))
    where = path.relative_to(root).as_posix()
    if as_json:
        show_json({"path": where, **plain(told)})
        return
    show(printable(f"{where}: {told.metric} on {told.rows:,} rows, {told.units:,} {told.unit}s"))
    rows = []
    for one in told.inputs:
        places = decimals(None if one.low is None or one.high is None else one.high - one.low)
        rows.append([printable(one.name), figure(one.value, places), between(one.low, one.high, places)])
    show(table(rows, ["input", "importance", "95 % interval"], right=[1, 2]))
