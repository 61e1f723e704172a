"""``gitml ci collect``"""

from __future__ import annotations

import click

from gitml.cijobs.collect import Collected
from gitml.cijobs.collect import collect as run_collect
from gitml.cli.common import as_json, examples
from gitml.cli.proposed import placed
from gitml.jsontext import picked, plain
from gitml.output import note, printable, show, show_json


@click.command(
    epilog=examples(
        "gitml ci collect --outbox s3://acme-gitml/outbox",
        "gitml ci collect --outbox /srv/outbox --prune    and take out what the ledger has",
    )
)
@click.option(
    "--outbox", envvar="GITML_OUTBOX", default="", help="Folder or URL that agents write to; or GITML_OUTBOX."
)
@click.option("--prune", is_flag=True, help="Take out of the outbox what the ledger has.")
@as_json
@click.pass_context
def collect(ctx: click.Context, outbox: str, *, prune: bool, as_json: bool) -> int:
    """Append what agents say they deployed to the ledger, if a key of policy.yaml signed it.

    Called again it adds nothing twice. Exit code 1: something in the outbox was refused, and stays there.
    """
    if not outbox:
        raise click.UsageError("there is no outbox: give --outbox, or set GITML_OUTBOX")
    with placed(ctx) as place:
        done = run_collect(place, outbox, prune=prune)
    if as_json:
        show_json(_json(done))
    else:
        for name in done.added:
            show(printable(f"added   {name}"))
        for name, why in done.refused.items():
            note(printable(f"refused {name}: {why}"))
        show(done.verdict.reason)
    return done.verdict.exit_code


def _json(done: Collected) -> dict[str, object]:
    return {**picked(done, "added", "known", "refused", "removed"), **plain(done.verdict)}
