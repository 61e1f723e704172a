"""``gitml ci dispatch``"""

from __future__ import annotations

import os

import click

from gitml.cijobs.dispatch import dispatch as run_dispatch
from gitml.cli.common import as_json, examples, root_of
from gitml.forges.table import connect, settings_from
from gitml.output import note, printable, show, show_json


@click.command(epilog=examples("gitml ci dispatch    in the rendered workflow gitml-ready.yml"))
@as_json
@click.pass_context
def dispatch(ctx: click.Context, as_json: bool) -> None:
    """Train the branch of a pull request that opened or became ready.

    That is no push, and a run of a pull request cannot commit to its branch: so the training workflow is started on the
    branch itself. It finds the pull request, reports on it and commits when it is ready. A run of this commit that went
    well is not trained again: its job `commit` goes once more, with what the training left.
    """
    root = root_of(ctx)
    with connect(settings_from(os.environ), note=lambda text: note(printable(text))) as forge:
        done = run_dispatch(root, os.environ, forge.runs)
    if as_json:
        show_json(
            {
                "workflow": done.workflow or None,
                "branch": done.branch,
                "reason": done.reason,
                "again": done.again or None,
            }
        )
    else:
        started = f"started {done.workflow} on {done.branch}" if done.workflow else "nothing started"
        what = f"job commit goes again on {done.branch}" if done.again else started
        show(printable(f"{what}: {done.reason}"))
