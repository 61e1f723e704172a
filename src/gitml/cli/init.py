"""``gitml init``"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.project.init import FileStatus, Started
from gitml.project.init import init as start_application
from gitml.project.templates import EXAMPLES, arriving, training

_STYLES = {
    FileStatus.CREATED: "green",
    FileStatus.EXTENDED: "green",
    FileStatus.KEPT: "dim",
    FileStatus.DIFFERS: "yellow",
}


@click.command(
    epilog=examples(
        "gitml init                           a small pipeline to replace by yours, here",
        "gitml init flights --example flight-delay   the reference application, in the new folder flights",
        "gitml init air --example flight-ensemble    two models that answer as one",
        "gitml init --diff                    and how files of yours would have to change",
    )
)
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--example", metavar="NAME", help=f"Start from a whole application: {', '.join(EXAMPLES)}.")
@click.option("--diff", is_flag=True, help="Show how files that are there differ.")
@as_json
@click.pass_context
def init(ctx: click.Context, /, directory: Path, *, example: str | None, diff: bool, as_json: bool) -> None:
    """Start an application in DIR, or here.

    Writes gitml.yaml, policy.yaml, a pipeline that runs, and what Git and DVC need. In a repository that exists,
    only what is missing is written: no file is replaced (.gitignore gets lines), and nothing is committed.
    Calling it again is harmless.
    """
    started = start_application(Path(ctx.obj or ".") / directory, example)
    if as_json:
        show_json(_json(started, example))
    else:
        _show(started, example, diff=diff)


def _show(started: Started, example: str | None, *, diff: bool) -> None:
    if started.new_git:
        show(f"{FileStatus.CREATED.value:<14}.git")
    for placed in started.files:
        show(paint(f"{placed.status.value:<14}", _STYLES[placed.status]) + printable(placed.path))
        if diff and placed.diff:
            show(printable(placed.diff))
    differing = [p for p in started.files if p.status is FileStatus.DIFFERS]
    if differing and not diff:
        note("\nfiles of yours were left alone: --diff shows how they would have to change")
    show("\nnext:")
    for line in _next(started, example):
        show(f"  {line}")


def _next(started: Started, example: str | None) -> list[str]:
    here = os.path.relpath(started.root)
    locks = [p.path for p in started.files if p.path == "pipelines/requirements.lock"]
    return [
        *([f"cd {shlex.quote(here)}"] if here != "." else []),
        # In one call: pip then takes releases that both agree on.
        *(f"python -m pip install 'gitml[serve]' -r {lock}" for lock in locks),
        *arriving(example),
        "gitml check          # then put your people into policy.yaml",
        'git add . && git commit -m "Start"',
        *training(example),
    ]


def _json(started: Started, example: str | None) -> dict[str, Any]:
    return {
        **picked(started, "root", "new_git"),
        "files": [picked(p, "path", "status", "diff") for p in started.files],
        "next": _next(started, example),
    }
