"""``gitml train``"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of, watch
from gitml.cli.tables import comparison_table, difference_json
from gitml.jsontext import picked
from gitml.output import note, paint, printable, seconds, show, show_json
from gitml.pipelines.lock import training
from gitml.pipelines.ran import How, Ran
from gitml.training.standing import standing
from gitml.training.trained import Trained, TrainOutcome

_STYLES = {How.RAN: "green", How.RESTORED: "cyan", How.UP_TO_DATE: "dim", How.NOT_FETCHED: "dim"}


@click.command(
    epilog=examples(
        "gitml train                 every model that has stages",
        "gitml train delay           one model",
        "gitml train delay --force   run its stages even if nothing changed",
    )
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--force", is_flag=True, help="Run every stage, whether or not a recorded run covers it.")
@click.option("--no-run-cache", is_flag=True, help="Do not restore what an earlier run with the same inputs gave.")
@click.option("--no-wait", is_flag=True, help="Fail at once when somebody else is training in this clone.")
@as_json
@click.pass_context
def train(
    ctx: click.Context,
    models: tuple[str, ...],
    *,
    force: bool,
    no_run_cache: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Train models: run what no recorded run covers, and write a version record.

    The record appears as models/MODEL/versions/TIME-DIGEST.json. Commit it together with dvc.lock. Training the same
    code, data, packages and params again makes no new version. A new one is loaded as servers load it, and asked its
    sample rows: where they would refuse it, the reason is told.
    """
    root = root_of(ctx)
    results = None if force else _standing(root, models, wait=not no_wait)
    if results is None:
        # DVC takes longer to import than all that was done until here.
        from gitml.training.train import TrainCall
        from gitml.training.train import train as run

        call = TrainCall(watch, tell, note, force=force, run_cache=not no_run_cache, wait=not no_wait)
        results = run(root, models, call)
    if as_json:
        show_json([_json(root, result) for result in results])
        return
    for result in results:
        _show(root, result)


def _standing(root: Path, models: Sequence[str], *, wait: bool) -> list[Trained] | None:
    with training(root, wait=wait, tell=note):
        found = standing(root, models)
    for ran in {ran.stage: ran for one in found or () for ran in one.stages}.values():
        tell(ran)
    return found


def tell(ran: Ran) -> None:
    how = paint(f"{ran.how.value:<12}", _STYLES[ran.how], stream=sys.stderr)
    took = f"{seconds(ran.seconds):>12}" if ran.how in (How.RAN, How.RESTORED) else " " * 12
    why = paint(f"  {ran.why}", "dim", stream=sys.stderr) if ran.why else ""
    note(f"  {ran.stage:<15} {how}{took}{why}".rstrip())


def _show(root: Path, result: Trained) -> None:
    record = result.record
    if result.outcome is TrainOutcome.SAME:
        show(f"{result.model}: nothing changed, {record.reference} of {record.created[:10]} stands")
        _show_put_back(result)
        return
    if result.outcome is TrainOutcome.NEW:
        dirty = f", not committed: {', '.join(record.dirty[:3])}" if record.dirty else ""
        show(paint(f"{result.model}: new version {record.reference}", "bold") + f" ({record.origin}{dirty})")
    else:
        same = "the same metrics" if result.same_metrics else "OTHER METRICS: gitml reproduce says more"
        show(paint(f"{result.model}: {record.reference} was reproduced", "bold") + f", with {same}")
        _show_put_back(result)
    if result.unusable:
        show(paint("no server would take it: ", "red", "bold") + printable(result.unusable))
    if result.comparison:
        show()
        show(comparison_table(result.comparison))
    if result.outcome is TrainOutcome.NEW:
        show()
        show(f"record: {result.path.relative_to(root)}")
        show(f"commit it together with dvc.lock; `gitml show {record.reference}` shows all of it")


def _show_put_back(result: Trained) -> None:
    if result.put_back:
        show(f"of {', '.join(result.put_back)} it gave other bytes: the recorded ones are back, in dvc.lock too")


def _json(root: Path, result: Trained) -> dict[str, Any]:
    comparison = result.comparison
    return {
        **picked(result, "model", "outcome", "put_back", "unusable"),
        **picked(result.record, "version", "digest"),
        "record": result.path.relative_to(root),
        "stages": [{**picked(r, "stage", "how", "why"), "seconds": round(r.seconds, 3)} for r in result.stages],
        "against": comparison.against.version if comparison else None,
        "differences": [difference_json(d) for d in comparison.differences] if comparison else [],
    }
