"""``gitml resolve``."""

from __future__ import annotations

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.project.resolve import resolve as resolve_conflicts


@click.command(
    epilog=examples("git merge origin/main    # stops with conflicts", "gitml resolve", "git commit", "git push")
)
@as_json
@click.pass_context
def resolve(ctx: click.Context, as_json: bool) -> int:
    """Settle the conflicts in files that runs write: dvc.lock, metrics and other outputs that Git keeps.

    Takes main's side of them, after a `git merge` or `git rebase` that stopped, and stages it. Once you push, CI trains
    what the merged code gives and writes them anew. Conflicts in code, params and records are left for you.

    Exit code 0: no conflict is left. 1: some are, and which.
    """
    done = resolve_conflicts(root_of(ctx))
    if as_json:
        show_json(picked(done, "taken", "left"))
        return 1 if done.left else 0
    for path in done.taken:
        show(f"{paint('main’s', 'green')}    {printable(path)}")
    for path in done.left:
        show(f"{paint('yours', 'yellow')}     {printable(path)}")
    after = "`git rebase --continue`" if done.rebase else "`git commit`"
    first = "settle those by hand and `git add` them, then " if done.left else ""
    note(f"{first}{after} and push: CI trains what the merged code gives, and writes them anew")
    return 1 if done.left else 0
