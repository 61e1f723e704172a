"""``gitml merge``"""

from __future__ import annotations

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import placed
from gitml.output import show, show_json
from gitml.promotion.merge import MergeOrder
from gitml.promotion.merge import merge as run_merge


@click.command(epilog=examples("gitml merge 12", "gitml merge 12 --head 3f2a90bc1 --method squash"))
@click.argument("number", metavar="PULL", type=click.IntRange(1))
@click.option("--head", metavar="COMMIT", default="", help="The commit that you looked at: nothing else is merged.")
@click.option("--method", type=click.Choice(["merge", "squash", "rebase"]), default="merge", show_default=True)
@click.option("--wait", type=click.FloatRange(0, 3600), default=60.0, show_default=True, help="Seconds for the forge.")
@as_json
@click.pass_context
def merge(ctx: click.Context, /, number: int, head: str, method: str, wait: float, *, as_json: bool) -> None:
    """Merge a pull request at exactly the commit whose gate is open.

    Exit code 1: the gate is shut, the head moved, or the forge refuses. 3: there is no verdict yet.
    """
    with placed(ctx) as place:
        done = run_merge(place, MergeOrder(number, head=head, method=method, wait=wait))
    if as_json:
        show_json({"pull": number, "head": done.head, "commit": done.commit, "was_merged": done.was_merged})
    else:
        word = "was merged already" if done.was_merged else "merged"
        show(f"#{number} {word}: {done.commit}")
