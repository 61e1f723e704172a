"""``gitml retrain``"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, moment
from gitml.cli.proposed import key_option, placed, reason_option
from gitml.errors import OutsideError
from gitml.fields import WrongValueError, parse_duration
from gitml.jsontext import picked, plain
from gitml.output import note, paint, printable, show, show_json
from gitml.spec.retrain import RETRAIN_CAUSES

if TYPE_CHECKING:
    from gitml.cijobs.retraining import Retrained
    from gitml.retraining.plan import JudgedCause, RetrainPlan

_STYLE = {"open": "green", "keep": "green", "close": "yellow", "nothing": "yellow"}


def _duration(_ctx: click.Context, _param: click.Parameter, value: str) -> timedelta:
    try:
        return parse_duration(value)
    except WrongValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.group(
    epilog=examples(
        "gitml retrain plan                                   what would be done now, and why nothing is",
        "gitml retrain open delay --reason 'new runway'       a person asks for a training",
    )
)
def retrain() -> None:
    """Train a model again because something asks for it: see what would be done, ask for it, or say no."""


@retrain.command(
    epilog=examples(
        "gitml retrain plan                                   every model that gitml.yaml retrains",
        "gitml retrain plan delay --at 2026-04-20 --json      as of a moment",
    )
)
@click.argument("model", required=False)
@click.option("--at", metavar="TIME", help="As of then, with what is on main and at the forge now. Default: now.")
@as_json
@click.pass_context
def plan(ctx: click.Context, /, model: str | None, *, at: str | None, as_json: bool) -> int:
    """Say what `gitml ci retrain` would do now, and why it does nothing: each brake, and when it ends.

    Causes and what is set stand in gitml.yaml under `retrain`, brakes in policy.yaml under `retraining`. Nothing is
    changed anywhere. Times without a zone are UTC.
    """
    from gitml.cijobs.retraining import planned

    with placed(ctx) as place:
        found = [one for one in planned(place, moment(at, None) if at else None) if model in (None, one.model)]
    if model and not found:
        raise click.BadParameter(f"gitml.yaml does not say how {model} is trained again", param_hint="MODEL")
    if as_json:
        show_json([plan_json(one) for one in found])
    for one in () if as_json else found:
        _show_plan(one)
    if not found and not as_json:
        show("gitml.yaml retrains no model: name one under `retrain`")
    return 0


@retrain.command(
    "open",
    epilog=examples(
        "gitml retrain open delay --reason 'a new runway opens'      whatever the monitors say",
        "gitml retrain open delay --cause drift --reason 'we saw it' before the cool-down ends",
    ),
)
@click.argument("model")
@click.option("--cause", type=click.Choice(RETRAIN_CAUSES), help="One that `plan` lists; by default none.")
@reason_option
@as_json
@click.pass_context
def open_(ctx: click.Context, /, model: str, *, cause: str | None, reason: str, as_json: bool) -> int:
    """Open a pull request that trains MODEL again, now: cool-down, quotas and refusals do not hold a person up.

    Broken data, freezes, holds and a candidate that is undecided do. You count as its author.
    """
    from gitml.cijobs.retraining import open_by_hand

    with placed(ctx) as place:
        done = open_by_hand(place, model, cause or "", reason)
    return told((done,), as_json=as_json)


@retrain.command(
    epilog=examples(
        "gitml retrain decline delay --cause drift --for 14d --reason 'the runway is closed' --key rita.key",
    ),
)
@click.argument("model")
@click.option("--cause", type=click.Choice(RETRAIN_CAUSES), required=True, help="Which one; the others still count.")
@click.option("--for", "lasts", callback=_duration, required=True, metavar="DURATION", help="How long, such as 14d.")
@key_option
@reason_option
@as_json
@click.pass_context
def decline(ctx: click.Context, /, *, as_json: bool, **words: Any) -> None:
    """Say no: nothing asks to train MODEL again because of that cause before the time is over. Signed with your key.

    What is open for it is closed by the next `gitml ci retrain`. The newest word counts: said again with a short time
    it ends the silence. `retraining: {decline: [ROLE]}` in policy.yaml says who may; by default every role. Exit code
    1: you may not.
    """
    from gitml.cijobs.declining import DeclineOrder
    from gitml.cijobs.declining import decline as run_decline

    with placed(ctx) as place:
        done = run_decline(place, DeclineOrder(**words))
    if as_json:
        show_json({"model": words["model"], **picked(done, "cause", "by", "reason", "since", "until")})
    else:
        said = f"{done.by} says no to {done.cause} of {words['model']}, until {done.until:%Y-%m-%d %H:%M} UTC"
        show(printable(said))


@retrain.command(
    epilog=examples(
        "gitml retrain backtest --since 2026-01-01                   until now, under the policy of the default branch",
        "gitml retrain backtest --since 2026-01-01 --until 2026-07-01 --json",
    )
)
@click.option("--since", required=True, metavar="TIME", help="First moment.")
@click.option("--until", metavar="TIME", help="Last moment. Default: now.")
@as_json
@click.pass_context
def backtest(ctx: click.Context, /, *, since: str, until: str | None, as_json: bool) -> None:
    """Say what the policy would have done over a time that is past: what it would have opened, when, and for how much.

    Main, looks and refusals are those of each moment, rules and causes those of the default branch now: change them
    there, and see what would have been. Where labels said that a model did worse and nothing was opened, it says what
    held that up. A retraining counts as merged when main got a newer version.
    """
    from gitml.cijobs.retrainbacktest import backtested
    from gitml.reports.figures import plural

    with placed(ctx) as place:
        first = moment(since, place.clock())
        found = backtested(place, first, moment(until, place.clock()))
    if as_json:
        show_json(plain(found))
        return
    for one in found.opened:
        end = f"{one.how} {one.ended:%Y-%m-%d}" if one.ended else one.how
        show(printable(f"{one.opened:%Y-%m-%d %H:%M}  {one.model:<12} {one.cause:<12} {end:<18} {one.reason}"))
    for lost in found.missed:
        when = f"{lost.first:%Y-%m-%d} to {lost.last:%Y-%m-%d}"
        show(printable(f"harm missed  {lost.model:<12} {when}, {lost.moments} looks: {lost.reason}"))
    cost = f"{found.hours:g} h, {found.gpu_hours:g} GPU hours, {found.money:g} in money"
    many = plural(len(found.opened), "retraining")
    show(f"{many} from {found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}: {cost}")


def told(done: tuple[Retrained, ...], *, as_json: bool) -> int:
    """Show what was done; exit code 4 where something could not be."""
    if as_json:
        show_json([{**plan_json(one.plan), **picked(one, "how", "pull", "waits", "problem")} for one in done])
    for one in () if as_json else done:
        said = f"#{one.pull} {one.how}: {one.plan.why}" if one.pull else one.plan.why
        show(printable(f"{one.model}: {said}"))
        for warning in filter(None, (one.waits, one.problem)):
            note(printable(warning))
    if not done and not as_json:
        show("gitml.yaml retrains no model")
    return OutsideError.exit_code if any(one.problem for one in done) else 0


def _show_plan(one: RetrainPlan) -> None:
    show(paint(printable(f"{one.model}: {one.do}"), _STYLE[one.do]) + printable(f"  {one.why}"))
    for judged in one.causes:
        show(
            printable(f"  {judged.cause.kind:<12} since {judged.cause.since:%Y-%m-%d %H:%M} UTC: {judged.cause.reason}")
        )
        for brake in judged.brakes:
            show(printable(f"    held up by {brake.name}: {brake}"))


def plan_json(one: RetrainPlan) -> dict[str, Any]:
    told = picked(one, "model", "at", "do", "why", "pull")
    return {**told, "cause": one.cause.kind if one.cause else None, "causes": [_cause(found) for found in one.causes]}


def _cause(found: JudgedCause) -> dict[str, Any]:
    told = picked(found.cause, "kind", "environment", "since", "reason", "looks", "shows", "stands")
    return {**told, "brakes": [picked(brake, "name", "reason", "until", "is_final") for brake in found.brakes]}
