"""``gitml reference``"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from gitml.cli.common import as_json, examples, moment, root_of
from gitml.output import note, printable, show, show_json


@click.command(
    epilog=examples(
        "gitml reference delay --features data/train.parquet --outputs artifacts/delay/scored.parquet --time when",
        "gitml reference delay --features data/features --time day --since 2013-01-01 --until 2013-03-31T24:00",
        "gitml reference fraud --signature signature.json --features acceptance.csv --outputs acceptance.csv",
    )
)
@click.argument("model")
@click.option("--features", default="", metavar="PATH", help="A table or folder of tables: the training rows.")
@click.option("--outputs", default="", metavar="PATH", help="The same of the evaluation, with the model's answers.")
@click.option("--signature", default="", metavar="FILE", help="What the columns are. Default: as gitml.yaml says.")
@click.option("--time", default="", metavar="COLUMN", help="When each row was: rows of an hour or a day are alike.")
@click.option("--zone", default="", metavar="ZONE", help="Of times that say none. Default: UTC, as in the traffic.")
@click.option("--unit", default="", metavar="COLUMN", help="Whose row it is, such as a customer: theirs are alike.")
@click.option(
    "--label", default="", metavar="COLUMN", help="What really happened: keeps evaluated rows, for estimates."
)
@click.option("--since", metavar="TIME", help="Only training rows from then on. Times without a zone are UTC.")
@click.option("--until", metavar="TIME", help="Only training rows before then.")
@as_json
@click.pass_context
def reference(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Write the reference of MODEL: what `gitml monitor` holds live traffic against.

    A stage calls it after the evaluation; for a model from elsewhere you do, before `gitml register --reference`. It
    goes to the path that gitml.yaml has under `reference`, and counts the columns of the signature in exactly the rows
    given. Each of its own periods is left out in turn: if one would alarm, it says so, and at which floor it would not.
    With --label some of the evaluated rows go to the path under `evaluated`, from which performance is estimated while
    live labels have not come.
    """
    from gitml.evidence.looks import MOST_DETAILS
    from gitml.inference.reference import ReferenceCall, counts_of_a_look, write_evaluated_rows, write_reference

    since, until = moment(options.pop("since"), None), moment(options.pop("until"), None)
    root = root_of(ctx)
    call = ReferenceCall(**options, since=since, until=until)
    place, made = write_reference(root, call)
    kept = write_evaluated_rows(root, call) if call.label else None
    path = place.relative_to(root).as_posix()
    rows = {name: int(part.sketch.rows.sum()) for name, part in _parts(made).items()}
    own = made.own
    if as_json:
        evaluated = kept and {"path": kept[0].relative_to(root).as_posix(), "rows": kept[1]}
        own_periods = asdict(own) if own else None
        show_json({"path": path, "rows": rows, "own_periods": own_periods, "evaluated": evaluated})
        return
    said = ", ".join(f"{count:,} rows of {name}" for name, count in rows.items())
    show(f"{printable(path)}: {said}")
    if kept:
        show(f"{printable(kept[0].relative_to(root).as_posix())}: {kept[1]:,} evaluated rows with labels")
    for name, part in _parts(made).items():
        _contexts(name, part)
    if (size := counts_of_a_look(made)) > MOST_DETAILS:
        note(
            f"the counts of a look take up to {size / 1e6:.1f} MB, and above {MOST_DETAILS / 1e6:.2f} none are signed: "
            "looks count the traffic of 32 windows again each time. Name fewer contexts or columns"
        )
    if own is None:
        note("rows are taken as independent: without --time nothing shows how alike those of a day are")
    else:
        _show(own)


def _show(own: Any) -> None:
    periods = {name: n for name, n in {"features": own.periods, "outputs": own.answers}.items() if n}
    for name in (name for name, n in periods.items() if n < 2):
        note(f"one period of {name} only: whether a quiet one would alarm is not known")
    if not own.alarms and (more := ", ".join(f"{n} of {name}" for name, n in periods.items() if n > 1)):
        show(f"none of its own periods of {own.hours} h would alarm: each was left out in turn, {more}")
    for column, count in own.alarms.items():
        kind, _, name = column.partition("_")
        of = own.answers if kind == "output" else own.periods
        note(f"{printable(name)}: {count} of {of} periods would alarm; a floor of {own.quiet[column]} would be quiet")


def _contexts(name: str, part: Any) -> None:
    if not part.layout.context:
        return
    rows = part.sketch.rows
    some, many = rows[:-1], int(rows[-1])
    show(f"{name}: {len(some)} contexts of {printable(', '.join(part.layout.context))}")
    if many and len(some) >= 256:
        note(f"{many / rows.sum():.1%} of rows have rarer contexts than the 256 that are kept: name fewer columns")
    thin = int((some < 30).sum())
    if thin:
        note(f"{thin} contexts have fewer than 30 rows: live rows with them will be compared with nothing")


def _parts(made: Any) -> dict[str, Any]:
    return {name: part for name in ("features", "outputs") if (part := getattr(made, name)) is not None}
