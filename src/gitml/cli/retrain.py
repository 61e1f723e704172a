"""``gitml retrain``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, moment
from gitml.cli.proposed import placed, reason_option
from gitml.errors import OutsideError
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.spec.retrain import RETRAIN_CAUSES

if TYPE_CHECKING:
    from gitml.cijobs.retraining import Retrained
    from gitml.retraining.plan import JudgedCause, RetrainPlan

_STYLE = {"open": "green", "keep": "green", "close": "yellow", "nothing": "yellow"}


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
@click.option("--cause", type=click.Choice(RETRAIN_CAUSES), default="", help="One that `plan` lists; by default none.")
@reason_option
@as_json
@click.pass_context
def open_(ctx: click.Context, /, model: str, *, cause: str, reason: str, as_json: bool) -> int:
    """Open a pull request that trains MODEL again, now: cool-down, quotas and refusals do not hold a person up.

    Broken data, freezes, holds and a candidate that is undecided do. You count as its author.
    """
    from gitml.cijobs.retraining import open_by_hand

    with placed(ctx) as place:
        done = open_by_hand(place, model, cause, reason)
    return told((done,), as_json=as_json)


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
