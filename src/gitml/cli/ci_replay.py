"""``gitml ci replay``: the jobs that let a proposed version answer logged requests again."""

from __future__ import annotations

import os

import click

from gitml.cli.common import as_json, examples, moment, root_of, traffic_log, traffic_of
from gitml.cli.proposed import placed
from gitml.errors import InconclusiveError
from gitml.forges.table import job_of
from gitml.jsontext import picked, plain
from gitml.output import note, paint, printable, show, show_json
from gitml.reports.promotion import short

VARIABLE = "GITML_LOOKS_KEY"


@click.group(
    epilog=examples(
        "gitml ci replay due --json         models with something to replay",
        "gitml ci replay evaluate delay     reads the traffic and loads the model, holds no key",
        "gitml ci replay sign               has the key, reads no traffic and loads no model",
        "gitml ci replay publish            comments on the pull requests of promotions",
    )
)
def replay() -> None:
    """Let versions that promotions propose answer logged requests, sign what came out, and say it there.

    `canary.replay` in policy.yaml asks for it. What is due follows from main, branches of promotions and what is
    signed, so each job may be killed, run twice or never.
    """


@replay.command()
@as_json
@click.pass_context
def due(ctx: click.Context, *, as_json: bool) -> int:
    """Say which models have a proposed version that was not replayed within a day."""
    from gitml import clock
    from gitml.cijobs.replaylooking import due_replays
    from gitml.control.ledger import Here

    root = root_of(ctx)
    _, found = due_replays(root, Here(root, os.environ), clock.now())
    models = list(dict.fromkeys(one.one.model for one, _ in found))
    if as_json:
        show_json(models)
    else:
        show("\n".join(models) or "nothing is to be replayed")
    return 0


@replay.command()
@click.argument("models", nargs=-1)
@click.option("--at", metavar="TIME", help="As the traffic was known then. Default: now.")
@traffic_log
@as_json
@click.pass_context
def evaluate(ctx: click.Context, models: tuple[str, ...], at: str | None, folder: str | None, *, as_json: bool) -> int:
    """Replay what is due of MODELS, or of all, and hand it over in $GITML_CI/replay.json.

    Models are loaded and answer in a process without keys, network or other files. Exit code 3: one could not be
    replayed, so that it stays due.
    """
    from gitml import clock
    from gitml.cijobs.replaylooking import replay_due, replaying
    from gitml.control.ledger import Here
    from gitml.inference.candidate import TrialPlace

    root = root_of(ctx)
    traffic, spool = traffic_of(ctx, folder, None)
    now = moment(at, None) or clock.now()
    run, judge = job_of(os.environ).run_url, replaying(TrialPlace(root, traffic, spool))
    done = replay_due(root, Here(root, os.environ), now, models, run, judge)
    if as_json:
        show_json([{**one.told, "later": one.later} for one in done])
    for each in () if as_json else done:
        one = each.proposed.one
        why = each.later or f"{each.told.get('phase', '')}: {each.told.get('reason', '')}"
        show(printable(f"{one.model}@{short(one.pin.version)} in {one.environment}: {why}"))
    if not done and not as_json:
        show("nothing is to be replayed")
    return 3 if any(one.later for one in done) else 0


@replay.command()
@as_json
@click.pass_context
def sign(ctx: click.Context, *, as_json: bool) -> int:
    """Sign what the jobs before handed over, if it fits main. The key is GITML_LOOKS_KEY, with the purpose `canary`."""
    from gitml.cijobs.looksigning import SignOrder
    from gitml.cijobs.replaysigning import sign_replays
    from gitml.evidence.keys import signing_key

    secret, job = os.environ.get(VARIABLE, "").strip(), job_of(os.environ)
    with placed(ctx) as place:
        done = sign_replays(place, SignOrder(signing_key(secret) if secret else None, job.run_url, job.commit))
    for said in done.passed_over:
        note(printable(said))
    if as_json:
        show_json(picked(done, "events", "due", "passed_over"))
    for name in () if as_json else done.events:
        show(f"{paint('signed', 'green')}  {printable(name)}")
    if done.due and not secret:
        raise InconclusiveError(
            f"there is no {VARIABLE}: {done.due} replays were not signed",
            f"put the private half of a key with the purpose `canary` into the secret {VARIABLE} of the forge's "
            "Environment gitml-looks",
        )
    if not done.events and not as_json:
        show("nothing is to be signed")
    return 0


@replay.command()
@as_json
@click.pass_context
def publish(ctx: click.Context, *, as_json: bool) -> int:
    """Keep the newest replay of each proposed version as a comment on its pull request.

    Exit code 4: something could not be posted.
    """
    from gitml.cijobs.replayposting import publish_replays

    with placed(ctx) as place:
        told = publish_replays(place, job_of(os.environ), os.environ)
    if as_json:
        show_json([plain(one) for one in told])
    for one in () if as_json else told:
        said = ", ".join(f"#{pull} {how}" for pull, how in one.comments.items()) or "no pull request"
        show(printable(f"{one.model}@{short(one.version)} in {one.environment}: {one.phase.value}: {said}"))
        if one.problem:
            note(printable(one.problem))
    if not told and not as_json:
        show("no proposed version was replayed yet")
    return 4 if any(one.problem for one in told) else 0
