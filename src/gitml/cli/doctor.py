"""``gitml doctor``"""

from __future__ import annotations

import os

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.output import note, paint, printable, show, show_json
from gitml.project.doctor import doctor as run_doctor
from gitml.project.doctorpoint import Mark

_STYLES = {Mark.OK: "green", Mark.MISSING: "red", Mark.UNKNOWN: "yellow"}


@click.command(
    epilog=examples(
        "gitml doctor",
        "GITHUB_TOKEN=… gitml doctor --json",
        "GITHUB_TOKEN=… gitml doctor --fix    as an administrator of the repository",
    )
)
@click.option("--fix", is_flag=True, help="Set on the forge what can be set: protection, the Environment, the ledger.")
@as_json
@click.pass_context
def doctor(ctx: click.Context, /, *, fix: bool, as_json: bool) -> int:
    """Check whether repository, forge and tokens are set up for training, reporting and promoting in CI.

    Which repository is asked comes from GITHUB_REPOSITORY and the like, else from the Git remote origin; as whom,
    from GITHUB_TOKEN. With a policy.yaml it also compares the forge's guards with it. Nothing is written without
    --fix, which only ever asks for more and can be called twice.

    Exit code 0: all is well. 1: something is missing. 3: something is unknown.
    """
    points = run_doctor(root_of(ctx), os.environ, lambda text: note(printable(text)), fix=fix)
    if as_json:
        show_json([{"point": p.name, "mark": p.mark.value, "what": p.what, "todo": p.todo} for p in points])
    else:
        width = max(len(p.name) for p in points)
        for point in points:
            mark = paint(f"{point.mark.value:<8}", _STYLES[point.mark])
            show(f"{mark}{printable(point.name):<{width}}  {printable(point.what)}")
            if point.todo:
                show(paint(f"{'':<{width + 8}}  → {printable(point.todo)}", "dim"))
    marks = {p.mark for p in points}
    return 1 if Mark.MISSING in marks else 3 if Mark.UNKNOWN in marks else 0
