"""``gitml reproduce``"""

from __future__ import annotations

import math
import sys
from typing import Any, Literal

import click

from gitml.cli.common import as_json, examples, root_of, watch
from gitml.jsontext import picked, plain
from gitml.output import note, paint, printable, seconds, show, show_json
from gitml.pipelines.ran import Ran
from gitml.training.reproduce import TOLERANCE, ReproduceCall, Reproduction
from gitml.training.reproduce import reproduce as run_again
from gitml.verdict import Phase

_STYLES = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "red"}


class _Tolerance(click.ParamType[float]):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number", param, ctx)
        if not math.isfinite(number) or number < 0:
            self.fail(f"{value!r} is no finite number from 0 on", param, ctx)
        return number


@click.command(
    epilog=examples(
        "gitml reproduce delay                          the newest version of delay",
        "gitml reproduce delay@production               the one that runs in production",
        "gitml reproduce delay@3f2a --tolerance 1e-4    numbers may differ by this much",
        "gitml reproduce delay --environment current    with the packages installed here",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION]")
@click.option(
    "--tolerance",
    type=_Tolerance(),
    default=TOLERANCE,
    show_default=True,
    help="Largest absolute difference at which two predictions or metrics count as equal.",
)
@click.option(
    "--environment",
    type=click.Choice(["recorded", "current"]),
    default="recorded",
    show_default=True,
    help="Packages to run with: built from the record's lock file, or those installed here.",
)
@click.option("--keep", is_flag=True, help="Keep the scratch folder to look into, and say where it is.")
@as_json
@click.pass_context
def reproduce(
    ctx: click.Context,
    reference: str,
    *,
    tolerance: float,
    environment: Literal["recorded", "current"],
    keep: bool,
    as_json: bool,
) -> int:
    """Run a version's whole lineage again and compare with its record.

    In a scratch worktree at the commit that brought the record in, with the recorded packages; every stage runs.
    Nothing in your tree, index or DVC cache changes. The result is byte-identical, prediction-identical (on the sample
    rows), metric-equal, or not reproduced, with the first digest or number that differs.

    Exit code 0: reproduced. 1: not reproduced. 3: there was not enough to judge on.
    """
    call = ReproduceCall(watch, _tell, note, tolerance, environment, keep)
    result = run_again(root_of(ctx), reference, call)
    if as_json:
        show_json(_json(result))
    else:
        _show(result)
    return result.verdict.exit_code


def _tell(ran: Ran) -> None:
    how = paint(f"{ran.how.value:<12}", "green", stream=sys.stderr)
    note(f"  {ran.stage:<16}{how}{seconds(ran.seconds):>12}")


def _show(result: Reproduction) -> None:
    verdict = result.verdict
    head = paint(verdict.phase.value, _STYLES[verdict.phase], "bold")
    show(f"{result.record.reference}: {head}")
    for remark in verdict.reason.split("; "):
        show(f"  {printable(remark)}")
    if result.kept:
        show(f"  kept: {result.kept}")


def _json(result: Reproduction) -> dict[str, Any]:
    return {
        **picked(result.record, "model", "version", "digest"),
        **plain(result.verdict),
        "exit_code": result.verdict.exit_code,
        "kept": result.kept,
    }
