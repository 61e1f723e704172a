"""``gitml ci dispatch``"""

from __future__ import annotations

import os

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.flows.dispatch import dispatch as run_dispatch
from gitml.forges.github import github, settings_from
from gitml.output import note, printable, show, show_json


@click.command(epilog=examples("gitml ci dispatch    in the rendered workflow gitml-ready.yml"))
@as_json
@click.pass_context
def dispatch(ctx: click.Context, as_json: bool) -> None:
    """Train the branch of a pull request that opened or became ready.

    That is no push, and a run of a pull request cannot commit to its branch: so the training workflow is started on the
    branch itself. It runs no stage a second time, finds the pull request, reports on it and commits when it is ready.
    """
    root = root_of(ctx)
    with github(settings_from(os.environ), note=lambda text: note(printable(text))) as forge:
        done = run_dispatch(root, os.environ, forge.runs)
    if as_json:
        show_json({"workflow": done.workflow or None, "branch": done.branch, "reason": done.reason})
    else:
        what = f"started {done.workflow} on {done.branch}" if done.workflow else "nothing started"
        show(printable(f"{what}: {done.reason}"))
