"""``gitml ci monitor``: the three jobs of a look."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, moment, root_of, traffic_log, traffic_of
from gitml.cli.proposed import placed
from gitml.errors import InconclusiveError
from gitml.forges.table import job_of
from gitml.jsontext import picked, plain
from gitml.output import note, paint, printable, show, show_json
from gitml.reports.promotion import short
from gitml.verdict import Phase

if TYPE_CHECKING:
    from gitml.cijobs.canarylooking import JudgedNow
    from gitml.cijobs.canaryproposing import ToldCandidate
    from gitml.cijobs.impactlooking import HeldAgainst
    from gitml.cijobs.impactposting import ToldBusiness
    from gitml.cijobs.upstreamtelling import ToldUpstreams

VARIABLE = "GITML_LOOKS_KEY"
_STYLE = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "red"}


@click.group(
    epilog=examples(
        "gitml ci monitor evaluate    reads the traffic, holds no key",
        "gitml ci monitor sign        has the key, reads no traffic and loads no model",
        "gitml ci monitor publish     comments, with neither",
    )
)
def monitor() -> None:
    """Look at each window that is due, judge each candidate, hold changes against KPIs, sign it, and say it on the pull
    requests that it concerns.

    What is due follows from main and what is signed. So each of the three may be killed, run twice or never:
    the next run makes up for it.
    """


@monitor.command()
@click.option("--at", metavar="TIME", help="As it was known then. Default: now.")
@traffic_log
@as_json
@click.pass_context
def evaluate(ctx: click.Context, at: str | None, folder: str | None, *, as_json: bool) -> int:
    """Look at the windows and candidates that are due, and hand over what was seen in $GITML_CI/looks.json.

    Exit code 3: something could not be read, so that its windows stay due. What failed is no error of this job.
    """
    from gitml.cijobs.looking import evaluate as look
    from gitml.control.ledger import Here
    from gitml.inference.monitor import MonitorCall

    root = root_of(ctx)
    traffic, spool = traffic_of(ctx, folder, None)
    call = MonitorCall(traffic, at=moment(at, None), spool=spool)
    evaluated = look(root, Here(root, os.environ), call, job_of(os.environ).run_url)
    done, judged, held = evaluated.looks, evaluated.candidates, evaluated.impacts
    if as_json:
        looks = [{"id": one.id, "later": one.found.later, **one.found.to_dict()} for one in done]
        told = [*looks, *({**one.told, "later": one.later} for one in judged), *map(_business, held)]
        show_json([*told, *({**(one.details or {}), "later": one.later} for one in evaluated.biases)])
    for one in () if as_json else done:
        found = one.found
        mark = paint(f"{found.phase.value if one.id else 'later':<12}", _STYLE[found.phase])
        why = f": {found.later}" if found.later else ""
        show(
            f"{mark}  {printable(f'{found.model} in {found.environment} until {found.until:%Y-%m-%d %H:%M} UTC{why}')}"
        )
    for candidate in () if as_json else judged:
        _show_candidate(candidate)
    for impact in () if as_json else held:
        said = impact.later or "is told"
        show(printable(f"{impact.due.days} days after {impact.due.change}: {said}"))
    for counted in () if as_json else evaluated.biases:
        why = counted.later or (counted.verdict.reason if counted.verdict else "")
        show(printable(f"whom {counted.model} selected in {counted.environment}: {why}"))
    if not (done or judged or held or evaluated.biases or as_json):
        show("nothing is due: every window that is over has a signed look")
    fine = all(one.id or one.waits for one in done) and not any(one.later for one in judged)
    fine = fine and not any(one.later for one in held) and not any(one.later for one in evaluated.biases)
    return 0 if fine else 3


def _business(held: HeldAgainst) -> dict[str, Any]:
    return {**held.told, "days": held.due.days, "later": held.later}


def _show_candidate(judged: JudgedNow) -> None:
    one = judged.watched.one
    phase = Phase(judged.told.get("phase", Phase.INCONCLUSIVE))
    mark = paint(f"{'later' if judged.later else phase.value:<12}", _STYLE[phase])
    why = judged.later or judged.told.get("reason", "")
    show(f"{mark}  {printable(f'{one.model}@{short(one.pin.version)} in {one.environment}: {why}')}")


@monitor.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be signed.")
@as_json
@click.pass_context
def sign(ctx: click.Context, *, dry_run: bool, as_json: bool) -> int:
    """Sign what the job before handed over, if it fits main and the looks that are there.

    The key is GITML_LOOKS_KEY, which policy.yaml names with the purpose `look`, and `canary` where it judges
    candidates, and no other. Exit code 3: there is something to sign, and no key.
    """
    from gitml.cijobs.biassigning import sign_biases
    from gitml.cijobs.canarysigning import sign_evaluations
    from gitml.cijobs.impactsigning import sign_impacts
    from gitml.cijobs.looksigning import SignOrder, together
    from gitml.cijobs.looksigning import sign as run_sign
    from gitml.evidence.keys import signing_key

    secret = "" if dry_run else os.environ.get(VARIABLE, "").strip()
    job = job_of(os.environ)
    with placed(ctx) as place:
        order = SignOrder(signing_key(secret) if secret else None, job.run_url, job.commit)
        done = together(run_sign(place, order), sign_evaluations(place, order))
        done = together(together(done, sign_impacts(place, order)), sign_biases(place, order))
    for said in done.passed_over:
        note(printable(said))
    if as_json:
        show_json(picked(done, "events", "due", "passed_over"))
    elif done.events:
        for name in done.events:
            show(f"{paint('signed', 'green')}  {printable(name)}")
    else:
        show(f"{done.due} looks are to be signed" if done.due else "nothing is to be signed")
    if done.due and not secret and not dry_run:
        raise InconclusiveError(
            f"there is no {VARIABLE}: {done.due} looks were not signed",
            f"put the private half of a key with the purpose `look` into the secret {VARIABLE} of the forge's "
            "Environment gitml-looks",
        )
    return 0


@monitor.command()
@as_json
@click.pass_context
def publish(ctx: click.Context, *, as_json: bool) -> int:
    """Keep one comment for each monitor up to date: where its champion came from, and on open promotions of the model.

    When a verdict fails that did not, a short new comment is posted as well, one for each model and day. Of candidates:
    what would make one champion, raise it or take it back is proposed by pull requests, with the evaluation as comment.
    Exit code 4: something could not be posted.
    """
    from gitml.cijobs.lookposting import publish as run_publish

    with placed(ctx) as place:
        told = run_publish(place, job_of(os.environ), os.environ)
    done = told.monitors
    if as_json:
        show_json(
            [
                plain(one)
                for one in (*done, *told.candidates, *told.upstreams, *told.impacts, *told.biases, *told.reviews)
            ]
        )
    for one in () if as_json else done:
        said = ", ".join(f"#{pull} {how}" for pull, how in one.comments.items()) or "no pull request"
        alarm = f"; alarm {one.alarm}" if one.alarm else ""
        mark = paint(f"{one.phase.value:<12}", _STYLE[one.phase])
        show(f"{mark}  {printable(f'{one.model} in {one.environment}: {said}{alarm}')}")
        if one.problem:
            note(printable(one.problem))
    for candidate in () if as_json else told.candidates:
        _show_told(candidate)
    for told_of in () if as_json else told.upstreams:
        _show_upstreams(told_of)
    for impact in () if as_json else told.impacts:
        _show_business(impact)
    for bias in () if as_json else told.biases:
        _show_accountable(f"ratios of {bias.model} in {bias.environment}", bias.phase, bias.comments, bias.problem)
    for one_due in () if as_json else told.reviews:
        phase = Phase.INCONCLUSIVE if one_due.is_due else Phase.SUCCESSFUL
        _show_accountable(f"{one_due.model}: {one_due.why}", phase, one_due.comments, one_due.problem)
    if not any((done, told.candidates, told.impacts, told.biases, told.reviews, as_json)):
        show("no monitor has a signed look yet")
    return 4 if told.has_problem else 0


def _show_accountable(what: str, phase: Phase, comments: Mapping[int, str], problem: str) -> None:
    said = ", ".join(f"#{pull} {how}" for pull, how in comments.items()) or "no comment"
    show(f"{paint(f'{phase.value:<12}', _STYLE[phase])}  {printable(f'{what}: {said}')}")
    if problem:
        note(printable(problem))


def _show_upstreams(one: ToldUpstreams) -> None:
    said = ", ".join(f"#{pull} {how}" for pull, how in one.comments.items())
    if said:
        show(f"{paint('upstream    ', 'yellow')}  {printable(f'of {one.model}: {said}')}")
    if one.problem:
        note(printable(one.problem))


def _show_told(one: ToldCandidate) -> None:
    pulls = [f"#{pull} {how}" for pull, how in one.pulls.items()] + [f"#{pull} closed" for pull in one.closed]
    mark = paint(f"{one.phase.value if one.phase else 'not yet':<12}", _STYLE[one.phase] if one.phase else "yellow")
    said = ", ".join(pulls) or one.waits or "nothing is proposed"
    show(f"{mark}  {printable(f'{one.model}@{short(one.version)} in {one.environment}: {said}')}")
    if one.problem:
        note(printable(one.problem))


def _show_business(one: ToldBusiness) -> None:
    change = one.change
    mark = paint(f"{one.phase.value:<12}", _STYLE[one.phase])
    said = ", ".join(f"#{pull} {how}" for pull, how in one.comments.items()) or "no pull request"
    about = f"{one.days} days after {change.kind} of {change.model}@{short(change.version)} in {change.environment}"
    show(f"{mark}  {printable(f'{about}: {said}')}")
    if one.problem:
        note(printable(one.problem))
