"""``gitml ci retrain``"""

from __future__ import annotations

import os

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import placed
from gitml.cli.retrain import told
from gitml.evidence.keys import VARIABLE, signing_key


@click.command(
    epilog=examples("gitml ci retrain    in the rendered workflow gitml-monitor.yml, after looks are signed")
)
@as_json
@click.pass_context
def retrain(ctx: click.Context, *, as_json: bool) -> int:
    """Open the retrainings that are due, keep open ones up to date, and close those whose cause is gone.

    One pull request for each model, opened where no brake of policy.yaml holds it up. `gitml retrain plan` says the
    same and does nothing. With GITML_SIGNING_KEY it signs what people said no to by a label `gitml:not-now 14d`, and
    which champion another repository has where a retraining follows from it. Exit code 4: something could not be done.
    """
    from gitml.cijobs.retraining import retrain as run_retrain

    secret = os.environ.get(VARIABLE, "").strip()
    with placed(ctx) as place:
        done = run_retrain(place, signing_key(secret) if secret else None)
    return told(done, as_json=as_json)
