"""``gitml ci export``"""

from __future__ import annotations

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import placed
from gitml.output import printable, show, show_json


@click.command(epilog=examples("gitml ci export    in the rendered workflow gitml-export.yml"))
@as_json
@click.pass_context
def export(ctx: click.Context, *, as_json: bool) -> int:
    """Propose what another job of this run exported from live traffic: one pull request a model.

    What that job handed over is read as a stranger's: a data set in DVC's remote for the folder that gitml.yaml names,
    and its lineage, which adds days to main's and changes none. Called again it does nothing. Exit code 4: something
    could not be proposed.
    """
    from gitml.cijobs.exporting import propose_exports

    with placed(ctx) as place:
        done = propose_exports(place)
    if as_json:
        show_json({"exports": [{k: getattr(one, k) for k in ("model", "how", "pull", "problem")} for one in done]})
    for one in () if as_json else done:
        show(printable(f"{one.model}: {one.problem or one.how}{f' #{one.pull}' if one.pull else ''}"))
    if not done and not as_json:
        show("nothing was handed over")
    return 4 if any(one.problem for one in done) else 0
