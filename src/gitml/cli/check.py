"""``gitml check``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.errors import Problem
from gitml.jsontext import picked
from gitml.output import paint, printable, show, show_json
from gitml.project.check import CheckReport
from gitml.project.check import check as check_files


@click.command(
    epilog=examples(
        "gitml check                   the application here or above",
        "gitml -C examples/iris check  the one in another folder",
        "gitml check --json            for editors and scripts",
    )
)
@as_json
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> int:
    """Check the files of the application, each alone and against one another.

    Reads gitml.yaml, policy.yaml, dvc.yaml, params.yaml, dvc.lock, .dvc/config, the deployments and the
    version records. Every problem is shown with its file, line and key, and what to do. Nothing is run or changed.

    What works and is not as it looks, such as a state that a stage keeps from run to run, is shown as a caution.

    Exit code 0: no problem, cautions or not. 2: problems.
    """
    root = root_of(ctx)
    report = check_files(root)
    if as_json:
        show_json(_as_dict(root, report))
    else:
        _show(report, os.path.relpath(root))
    return 2 if report.problems else 0


def _as_dict(root: Path, report: CheckReport) -> dict[str, object]:
    problems, cautions = (
        [picked(problem, "file", "line", "key", "message", "hint") for problem in found]
        for found in (report.problems, report.cautions)
    )
    return {"root": root, "counts": report.counts, "problems": problems, "cautions": cautions}


def _show(report: CheckReport, root: str) -> None:
    for problem in report.problems:
        _show_one(problem, root)
    for caution in report.cautions:
        _show_one(caution, root, paint("caution: ", "yellow"))
    if not report.problems:
        show(f"{_counted(report)}: no problem")
        return
    files = len({p.file for p in report.problems})
    show()
    show(paint(f"{_many(len(report.problems), 'problem')} in {_many(files, 'file')}", "red", "bold"))


def _show_one(problem: Problem, root: str, kind: str = "") -> None:
    show(f"{kind}{_line(problem, root)}")
    if problem.hint:
        show(paint(f"    {printable(problem.hint)}", "dim"))


def _line(problem: Problem, root: str) -> str:
    """The path as seen from here, so that terminals and editors can open it."""
    path = os.path.normpath(os.path.join(root, problem.file))
    place = f"{path}:{problem.line}" if problem.line else path
    key = f"{problem.key}: " if problem.key else ""
    return f"{paint(printable(place), 'bold')}: {paint(printable(key), 'cyan')}{printable(problem.message)}"


def _counted(report: CheckReport) -> str:
    return ", ".join(_many(count, name[:-1]) for name, count in report.counts.items() if count or name != "deployments")


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
