"""``gitml outliers``"""

from __future__ import annotations

from typing import Any

import click

from gitml.cli.common import as_json, examples, moment, root_of
from gitml.output import note, printable, show, show_json


@click.command(
    epilog=examples(
        "gitml outliers delay --features data/train.parquet --time when",
        "gitml outliers delay --features data/features --time day --since 2013-01-01 --until 2013-04-01 --share 0.005",
    )
)
@click.argument("model")
@click.option("--features", required=True, metavar="PATH", help="A table or folder of tables: the training rows.")
@click.option("--signature", default="", metavar="FILE", help="What the columns are. Default: as gitml.yaml says.")
@click.option("--time", default="", metavar="COLUMN", help="When each row was: rows of an hour or a day are alike.")
@click.option("--unit", default="", metavar="COLUMN", help="Whose row it is, such as a customer: theirs are alike.")
@click.option("--since", metavar="TIME", help="Only training rows from then on. Times without a zone are UTC.")
@click.option("--until", metavar="TIME", help="Only training rows before then.")
@click.option("--share", default=0.01, show_default=True, metavar="SHARE", help="Of the training that is strange.")
@as_json
@click.pass_context
def outliers(ctx: click.Context, /, *, as_json: bool, share: float, **options: Any) -> None:
    """Fit what is strange for MODEL: an isolation forest, by which `gitml monitor` counts live rows that are unlike any
    of the training.

    A stage calls it after the training. It goes to the path that gitml.yaml has under `outliers`, as arrays, which
    are no code. It is fitted on half of the rows, of whole days with --time; how many of the others are strange is
    what live traffic is held against.
    """
    from gitml.inference.outliers import fit
    from gitml.inference.reference import ReferenceCall

    since, until = moment(options.pop("since"), None), moment(options.pop("until"), None)
    path, made = fit(root_of(ctx), ReferenceCall(**options, since=since, until=until), share)
    rows = int(made.reference.sketch.rows.sum())
    if as_json:
        show_json({"path": str(path), "columns": [*made.columns], "threshold": made.threshold, "rows": rows,
                   "share": made.share})  # fmt: skip
        return
    show(f"{printable(str(path))}: {len(made.columns)} columns; of {rows:,} rows that it was not fitted on, "
         f"{made.share:.2%} are strange")  # fmt: skip
    if not made.reference.alike:
        note("rows are taken as independent: without --time nothing shows how alike those of a day are")
