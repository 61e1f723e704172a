"""``gitml override``"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import key_option, placed, reason_option
from gitml.evidence.keys import SigningKey
from gitml.fields import WrongValueError, parse_duration, parse_until
from gitml.jsontext import picked
from gitml.output import note, printable, show, show_json
from gitml.policy.freezes import moment
from gitml.promotion.override import Overridden, OverrideOrder
from gitml.promotion.override import override as run_override


def _until(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | timedelta | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except WrongValueError:
        pass
    try:
        return parse_until(value)
    except WrongValueError as exc:
        raise click.BadParameter(f"{exc}; a duration such as 3d does as well") from exc


@click.command(
    epilog=examples(
        "gitml override 12 --gate metrics --reason 'the holiday week skews AUC, see RISK-81' --key rita.key",
        "gitml override 12 --gate freeze --gate latency --until 2d --reason 'the fix cannot wait'",
    )
)
@click.argument("pull", type=click.IntRange(1))
@click.option("--gate", "gates", multiple=True, required=True, metavar="GATE", help="A shut gate; again for more.")
@click.option("--until", callback=_until, metavar="DAY|DURATION", help="The end; by default as late as policy allows.")
@key_option
@reason_option
@as_json
@click.pass_context
def override(
    ctx: click.Context,
    /,
    pull: int,
    *,
    gates: Sequence[str],
    until: datetime | timedelta | None,
    key: SigningKey,
    reason: str,
    as_json: bool,
) -> int:
    """Sign that shut gates of one promotion may be passed: with your own key, a reason and an end.

    Opens nothing alone: `override` in policy.yaml says people of which role, and how many. Who had a part in the
    change may not. What was found stays visible, and the statement is on the ledger for good.

    Exit code 0: the gates are open now. 3: your word is signed, and more people are needed. 1: you may not.
    """
    with placed(ctx) as place:
        done = run_override(place, OverrideOrder(pull, gates, reason, key, until))
    opened = {name.rpartition(": ")[2] for name in done.now.gates} if done.now else set()
    if as_json:
        show_json(_json(done))
    else:
        _show(done)
    return 0 if opened.issuperset(done.gates) else 3


def _show(done: Overridden) -> None:
    where = f"{done.model} in {done.environment}, #{done.pull}"
    show(printable(f"{done.by} overrides {', '.join(done.gates)} of {where}, until {moment(done.until)}"))
    show(printable(f"signed: {done.event}"))
    if done.now:
        show(printable(done.now.verdict.reason))
    note("nothing else keeps it shut" if done.open else f"`gitml gate {done.pull}` says what still keeps it shut")
    told = f"it looks by itself within the hour ({done.waits})" if done.waits else "it was asked to look again"
    note(printable(f"the gate on the pull request: {told}"))


def _json(done: Overridden) -> dict[str, object]:
    told = picked(done, "pull", "model", "environment", "gates", "by", "until", "event", "open")
    return {**told, "override": done.now, "waits": done.waits or None}
