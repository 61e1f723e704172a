"""``gitml ci finish``"""

from __future__ import annotations

import click

from gitml.cijobs.finish import FinishedRun
from gitml.cijobs.finish import finish as run_finish
from gitml.cli.common import as_json, examples
from gitml.cli.proposed import placed
from gitml.output import note, printable, show, show_json


@click.command(epilog=examples("gitml ci finish    in the rendered pipeline gitml-report.yml"))
@as_json
@click.pass_context
def finish(ctx: click.Context, as_json: bool) -> int:
    """Report on trainings of branches, and commit what they gave, from the default branch.

    For forges whose branches can change their own pipelines, so that these hold no token: GitLab. Each open pull
    request whose newest training is over and not told yet is told: a checkout of its commit is read, and nothing of it
    is executed. Exit code 4: some could not be told; the next call tries again.
    """
    with placed(ctx) as place:
        done = run_finish(place)
    if as_json:
        show_json([_json(one) for one in done])
        return max((one.exit_code for one in done), default=0)
    for one in done:
        show(printable(f"pull request {one.pull}: {one.run.url}"))
        note(printable(one.said))
    if not done:
        show("nothing to tell")
    return max((one.exit_code for one in done), default=0)


def _json(one: FinishedRun) -> dict[str, object]:
    return {"pull": one.pull, "run": one.run.id, "commit": one.run.commit, "exit_code": one.exit_code}
