"""``gitml ci wait``"""

from __future__ import annotations

import os

import click

from gitml.cijobs.publish import World
from gitml.cijobs.wait import WaitTimes
from gitml.cijobs.wait import wait as run_wait
from gitml.cli.common import as_json, examples, root_of
from gitml.forges.table import connect, settings_from
from gitml.output import note, printable, show, show_json


@click.command(epilog=examples("gitml ci wait train-gpu", "gitml ci wait train-gpu --minutes 60"))
@click.argument("job")
@click.option("--minutes", type=click.FloatRange(min=0), default=15.0, show_default=True, help="How long to wait.")
@as_json
@click.pass_context
def wait(ctx: click.Context, job: str, *, minutes: float, as_json: bool) -> None:
    """Wait until a runner has the job of this run; if none comes, say so on the pull request and in the status.

    The rendered workflow calls it for jobs on runners of your own. The run goes on: when a runner comes after all, its
    report takes the place of this one.
    """
    settings = settings_from(os.environ)

    def say(text: str) -> None:
        note(printable(text))

    with connect(settings, note=say) as forge:
        done = run_wait(root_of(ctx), job, forge.runs, World(os.environ, settings, say), WaitTimes(minutes * 60))
    if as_json:
        show_json({"runner": done.runner or None, "problem": done.problem or None})
    else:
        show(printable(done.problem or f"{job}: {done.runner or 'nothing to wait for'}"))
