"""``gitml ci commit``: the second half of training in CI."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack

import click

from gitml.cijobs.commit import cicommit
from gitml.cijobs.context import Push, push_of
from gitml.cli.common import as_json, examples, root_of, watch
from gitml.cli.train import tell
from gitml.forges.base import Forge
from gitml.forges.table import connect, settings_from
from gitml.output import note, printable, show, show_json
from gitml.training.train import TrainCall


@click.command(
    epilog=examples("gitml ci commit", "gitml ci commit --fork    for a pull request of a fork: a report and no commit")
)
@click.option("--fork", is_flag=True, help="The pull request comes from a fork: write the report, ask no forge.")
@as_json
@click.pass_context
def commit(ctx: click.Context, *, fork: bool, as_json: bool) -> int:
    """Merge what the jobs handed over into a report and, when it is time, one commit of the bot.

    Writes $GITML_CI/report.json for `gitml ci publish`. Commits dvc.lock, the version record and the outputs that live
    in Git to the pushed branch, as `train.commit` in gitml.yaml says; a branch that has moved is left alone. On the
    default branch nothing is committed: when it is stale, the retrain pull request is opened.
    """
    push = push_of(fork=fork)
    with ExitStack() as stack:
        forge: Forge | None = stack.enter_context(_forge(push)) if push.token and push.repository else None
        done = cicommit(root_of(ctx), push, forge, TrainCall(watch, tell, note))
    if as_json:
        show_json({"outcome": done.outcome.value, "reason": done.reason, "commit": done.head or None})
    else:
        show(printable(f"{done.outcome.value}: {done.reason}" + (f" ({done.head[:12]})" if done.head else "")))
    return done.exit_code


def _forge(push: Push) -> AbstractContextManager[Forge]:
    return connect(settings_from(os.environ, push.git_url), note=lambda text: note(printable(text)))
