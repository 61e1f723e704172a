"""``gitml ci verify`` and ``gitml ci record``: what follows a merge."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from gitml.ci.github.gate import ENVIRONMENT
from gitml.cijobs.record import RecordOrder, RecordResult
from gitml.cijobs.record import record as run_record
from gitml.cijobs.verify import VerifyOrder as Trial
from gitml.cijobs.verify import civerify
from gitml.cli.common import as_json, examples, root_of, watch
from gitml.cli.proposed import placed
from gitml.cli.train import tell
from gitml.control.ledger import Here
from gitml.errors import InconclusiveError
from gitml.evidence.keys import VARIABLE, signing_key
from gitml.forges.table import job_of
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.training.reproduce import ReproduceCall

_STYLES = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


@click.command(
    epilog=examples(
        "gitml ci verify delay                in the rendered workflow gitml-main.yml",
        "gitml ci verify --reproduce delay    in the rendered workflow gitml-reproduce.yml",
    )
)
@click.argument("models", nargs=-1, required=True)
@click.option("--reproduce", "again", is_flag=True, help="Train versions again instead of loading them.")
@as_json
@click.pass_context
def verify(ctx: click.Context, models: tuple[str, ...], *, again: bool, as_json: bool) -> int:
    """Try the versions of main that have no evidence yet, and hand over what was found.

    Loads each artifact as data, compares its answers on the version's own samples, and measures how long one row
    takes. With --reproduce trains where some environment wants it. $GITML_CI/verify-MODEL.json (or
    reproduce-MODEL.json) says what was found; nothing is signed here. Exit code 0 also for versions that
    fail: the evidence says so.
    """
    root = root_of(ctx)
    call = ReproduceCall(watch, tell, lambda text: note(printable(text)))
    done = civerify(root, Here(root, os.environ), Trial(models, call, again=again, run=job_of(os.environ).run_url))
    if as_json:
        show_json(done)
        return 0
    for one in done.tried:
        mark = paint(f"{one.result:<12}", _STYLES[one.result])
        show(f"{mark}  {one.model} {one.version}: {printable(str(one.details.get('reason', '')))}")
    if not done.tried:
        show("nothing is due: evidence is there for every version")
    return 0


@click.command(
    epilog=examples(
        "gitml ci record              in the rendered workflows gitml-main.yml and gitml-reproduce.yml",
        "gitml ci record --dry-run    what it would sign; needs no key",
    )
)
@click.option("--dry-run", is_flag=True, help="Only say what would be signed.")
@as_json
@click.pass_context
def record(ctx: click.Context, *, dry_run: bool, as_json: bool) -> int:
    """Sign what became of main: decisions, trainings, and what versions showed.

    For each deployment that changed: the reviews at the merge, judged again, and that it was promoted or rolled back.
    For each version: that the forge vouches for its training. Also what `gitml ci verify` handed over. Called twice it
    signs nothing twice; what a run that failed left undone is made up for.

    The key is GITML_SIGNING_KEY. Exit code 3: something is due that a key of policy.yaml should sign, and this job has
    none; while policy.yaml names no key, nothing is expected of it. 4: something could not be looked up or signed.
    """
    env = os.environ
    secret = "" if dry_run else env.get(VARIABLE, "").strip()
    with placed(ctx) as place:
        job = job_of(env)
        done = run_record(place, RecordOrder(signing_key(secret) if secret else None, job.run_url, job.commit))
    if as_json:
        show_json([_json(one) for one in done])
    else:
        for one in done:
            _show(one)
        if not done:
            show("nothing is due: everything of main is signed")
    if not all(one.is_fine for one in done):
        return 4
    return 0 if secret or dry_run else _without_key(done)


def _without_key(done: Sequence[RecordResult]) -> int:
    left = [one for one in done if one.due.statements]
    keys = sorted({name for one in left for name in one.awaits})
    if keys:
        raise InconclusiveError(
            f"there is no {VARIABLE}: nothing was signed of {len(left)} that are due, which policy.yaml wants signed "
            f"by {', '.join(keys)}",
            f"put the private half of that key into the secret {VARIABLE} of the forge's Environment {ENVIRONMENT}; "
            "`gitml doctor` looks. To only see what is due: --dry-run",
        )
    if left:
        note(
            f"there is no {VARIABLE}, and policy.yaml names no key yet that could sign it: nothing was signed "
            "(`gitml evidence keygen`)"
        )
    return 0


def _show(one: RecordResult) -> None:
    if one.events:
        show(f"{paint('signed', 'green')}   {printable(one.due.said)}")
    elif one.error:
        show(f"{paint('refused', 'red')}  {printable(one.due.said)}: {printable(one.error)}")
    else:
        show(f"{paint('-', 'dim')}        {printable(one.due.said)}")


def _json(one: RecordResult) -> dict[str, object]:
    return {"said": one.due.said, "error": one.error or None, "fine": one.is_fine, **picked(one, "events", "awaits")}
