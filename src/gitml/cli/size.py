"""``gitml size``"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.errors import UsageError
from gitml.fields import parse_duration, parse_latency, parse_rate
from gitml.output import note, show, show_json, table

if TYPE_CHECKING:
    from gitml.inference.size import ScoringPlan, ServingPlan, Sizing


class _Word(click.ParamType[Any]):
    """A number with its unit, as gitml.yaml and policy.yaml write it."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _rows(text: str) -> int:
    try:
        found = float(text)
        whole = int(found)
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no number of rows: write 250000 or 1e9") from None
    if whole < 1 or whole != found:
        raise ValueError(f"{text} is no number of rows: write 250000 or 1e9")
    return whole


@click.command(
    epilog=examples(
        "gitml size delay                               what one process takes, and what it answers",
        "gitml size delay@production --target 500/s --p99 50ms",
        "gitml size delay --rows 1e9 --within 2h --json",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION|@ENVIRONMENT]")
@click.option("--target", type=_Word("rate", parse_rate), metavar="N/s", help="Requests that come in, such as 500/s.")
@click.option("--p99", type=_Word("time", parse_latency), metavar="TIME", help="99 of 100 are answered in that time.")
@click.option("--rows", type=_Word("rows", _rows), metavar="N", help="Rows of a data set to score, such as 1e9.")
@click.option("--within", type=_Word("time", parse_duration), metavar="TIME", help="Until when: 30m, 2h.")
@click.option(
    "--seconds", type=click.FloatRange(1, 600), default=8.0, show_default=True, help="Of load for the measurement."
)
@as_json
@click.pass_context
def size(ctx: click.Context, /, reference: str, *, as_json: bool, **asked: Any) -> None:
    """Measure a version on this machine, and say how many processes, cores and GB a task needs.

    The version is loaded, served with its log on, and scores files made of its sample rows; nothing is kept. What
    follows holds for cores like these: measure where it will run. Prices are `costs.core_hour` and
    `costs.gigabyte_hour` of gitml.yaml.
    """
    if asked["p99"] is not None and asked["target"] is None:
        raise UsageError("--p99 needs a rate", "add --target, such as 500/s")
    if asked["within"] is not None and asked["rows"] is None:
        raise UsageError("--within needs rows", "add --rows, such as 1e9")
    from gitml.cli.extras import require
    from gitml.models.cores import one_core_each

    require("serve")
    one_core_each()
    from gitml.inference.size import SizeAsked
    from gitml.inference.size import size as measured

    if not as_json:
        note(f"measuring for about {asked['seconds'] * 2 + 10:.0f} s; what else runs here disturbs it")
    p99 = asked["p99"] / 1000 if asked["p99"] is not None else None
    found = measured(
        root_of(ctx), reference, SizeAsked(asked["target"], p99, asked["rows"], asked["within"], asked["seconds"])
    )
    if as_json:
        show_json(_plain(found))
        return
    _show(found, asked)


def _show(found: Sizing, asked: dict[str, Any]) -> None:
    serving, scoring = found.serving, found.scoring
    show(f"{found.record.reference} on {found.machine['cores']} cores ({found.machine['processor']})")
    rows = [
        ("start of a server", f"{serving.start:.1f} s"),
        ("memory of a process", f"{serving.memory:.0f} MB serving, {scoring.memory:.0f} MB scoring"),
        ("one request alone", f"{serving.alone * 1000:.2f} ms (99th percentile)"),
        ("one process serves", f"{1 / serving.cpu:,.0f} requests/s ({serving.cpu * 1000:.3f} ms of a core each)"),
        ("one process scores", f"{1 / scoring.row:,.0f} rows/s" if scoring.row else "more than can be measured"),
        ("rows of a call", f"{scoring.batch:,}, from which on a row costs about the least"),
        ("GPU", found.gpu),
    ]
    show(table(rows))
    if found.serving_plan:
        show(f"\n{_serving(found.serving_plan, asked, found.currency)}")
    if found.scoring_plan:
        show(f"\n{_scoring(found.scoring_plan, asked, found.currency)}")


def _serving(plan: ServingPlan, asked: dict[str, Any], currency: str) -> str:
    head = f"{asked['target']:,.0f} requests/s"
    if not plan.processes:
        return f"{head}: a request alone takes {plan.p99 * 1000:.1f} ms, so no number of processes is in time"
    told = f"{head}: {_count(plan.processes, 'process', 'processes')}, each busy for {plan.load:.0%} of the time"
    told += f", {plan.memory / 1000:.1f} GB; 99 of 100 within {plan.p99 * 1000:.1f} ms"
    return f"{told}; {_price(plan.month, currency, 'a month')}\nforecast: two measurements differ by {plan.error:.0%}"


def _scoring(plan: ScoringPlan, asked: dict[str, Any], currency: str) -> str:
    long = timedelta(seconds=round(plan.seconds))
    where = f"engine {plan.engine}" if plan.engine else "more cores than this machine has: share the files out"
    told = f"{asked['rows']:,} rows: {_count(plan.processes, 'process', 'processes')} ({where})"
    told += (
        f", {plan.files} files or more, {plan.memory / 1000:.1f} GB, {long}; {_price(plan.cost, currency, 'in all')}"
    )
    return f"{told}\nforecast: a file that was forecast took {plan.error:.0%} more or less"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _price(amount: float | None, currency: str, per: str) -> str:
    return f"{amount:,.2f} {currency} {per}" if amount is not None else "no price: gitml.yaml has no `costs.core_hour`"


def _plain(found: Sizing) -> dict[str, Any]:
    from gitml.jsontext import plain

    told: dict[str, Any] = plain({name: getattr(found, name) for name in _PARTS})
    return {"model": found.record.model, "version": found.record.version, **told}


_PARTS = ("machine", "gpu", "currency", "serving", "scoring", "serving_plan", "scoring_plan")
