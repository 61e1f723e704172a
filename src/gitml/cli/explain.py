"""``gitml explain``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, moment, root_of, traffic_log, traffic_of
from gitml.output import printable, show, show_json, table

if TYPE_CHECKING:
    from gitml.reports.explanationfacts import Explanation


@click.command(
    epilog=examples(
        "gitml explain 0198c2e1-7f7a-7cc3-a1d9-5d1c2b8f0a11",
        "gitml explain batch-7 --model delay --row 12 --html answer.html",
    )
)
@click.argument("request_id")
@click.option("--model", default="", help="Whose answer; needed where several models answered the request.")
@click.option("--row", type=click.IntRange(0), help="Which row of a request with several; they count from 0.")
@click.option("--arm", default="", metavar="ARM", help="champion, canary, shadow or asked. Default: who was heard.")
@click.option("--caller", metavar="NAME", help="Whose request it was, where two callers chose the same id.")
@click.option("--output", default="", metavar="NAME", help="Which of several answers. Default: the largest.")
@click.option("--since", metavar="TIME", help="Look at requests that arrived from then on. Faster in a large log.")
@click.option("--until", metavar="TIME", help="Look at requests that arrived before then.")
@click.option("--calls", default=4000, show_default=True, type=click.IntRange(1),
              help="Rows that a model without trees may answer for it.")  # fmt: skip
@click.option("--html", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the page for the person whom the answer is about.")  # fmt: skip
@traffic_log
@as_json
@click.pass_context
def explain(ctx: click.Context, /, request_id: str, *, as_json: bool, target: Path | None, **options: Any) -> None:
    """Tell what each input contributed to the answer to a logged request, by the version that gave it.

    Contributions are Shapley values and add up to the answer: exact for scikit-learn's trees, sampled, with their
    error, for every other model. The same request and version give the same numbers. Refused where an input was not
    logged, or where the version no longer answers what it answered then. Words come from the file that gitml.yaml names
    under `reasons`.
    """
    from gitml.files import write_file
    from gitml.inference.explain import ExplainCall, TrafficPlace
    from gitml.inference.explain import explain as run
    from gitml.reports.explanation import page
    from gitml.traffic.reader import Window

    place = TrafficPlace(*traffic_of(ctx, options.pop("folder"), None))
    window = Window(moment(options.pop("since"), None), moment(options.pop("until"), None))
    found = run(root_of(ctx), place, ExplainCall(request_id, window=window, **options))
    if target:
        write_file(target, page(found))
    if as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: Explanation) -> None:
    from gitml.reports.explanation import SCALES
    from gitml.reports.figures import figure, signed

    who, asked = found.model, found.request
    where = f" in {asked.environment} ({asked.arm})" if asked.environment else ""
    show(printable(f"{who.name} {who.version} answered {found.output} = {figure(found.answer)}{where}"))
    sampled = found.method == "sampled"
    rows = [["", "", signed(found.base), *([""] if sampled else []), "where nothing is known"]]
    for one in found.inputs:
        error = [figure(2 * (one.error or 0.0))] if sampled else []
        value = "missing" if one.value is None else one.value
        rows.append([printable(one.name), printable(value), signed(one.contribution), *error, printable(one.reason)])
    rows.append(["", "", signed(found.total), *([""] if sampled else []), "together"])
    show(
        table(
            rows, ["input", "value", "contribution", *(["±"] if sampled else []), ""], right=[2, 3] if sampled else [2]
        )
    )
    how = f"sampled with {found.calls:,} calls, ± two standard errors" if sampled else "exact"
    show(f"{how}; {SCALES[found.scale]}")
