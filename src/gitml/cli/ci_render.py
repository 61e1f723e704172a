"""``gitml ci render`` and ``gitml ci check``."""

from __future__ import annotations

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.project.render import Did, Workflow, render_workflows, workflows

_STYLES = {Did.CREATED: "green", Did.CHANGED: "yellow", Did.REMOVED: "red", Did.SAME: "dim"}
_DIFF = {"+": "green", "-": "red", "@": "cyan"}


_for = click.option(
    "--for",
    "systems",
    multiple=True,
    metavar="SYSTEM",
    help="github, jenkins, airflow …; may be given several times. Default: `ci.system` of gitml.yaml.",
)


@click.command(
    epilog=examples("gitml ci render", "gitml ci render --for jenkins --for airflow", "gitml ci render --json")
)
@_for
@as_json
@click.pass_context
def render(ctx: click.Context, systems: tuple[str, ...], as_json: bool) -> None:
    """Write the workflows that gitml.yaml asks for.

    They go where the CI system looks for them, such as .github/workflows/gitml-*.yml at the top of the repository;
    commit them. Says what was created, changed or removed. Files of others are never touched.
    """
    done = render_workflows(root_of(ctx), systems)
    if as_json:
        show_json(_json(done))
        return
    for file in done:
        show(f"{paint(f'{file.change.value:<8}', _STYLES[file.change])}  {printable(file.path)}")


@click.command(epilog=examples("gitml ci check", "gitml ci check --for jenkins", "gitml ci check --json"))
@_for
@as_json
@click.pass_context
def check(ctx: click.Context, systems: tuple[str, ...], as_json: bool) -> int:
    """Compare the workflows that are checked in with what would be rendered.

    Byte by byte, and nothing is written. Exit code 0: the same. 1: they differ, and how.
    """
    files = workflows(root_of(ctx), systems)
    wrong = [file for file in files if file.change is not Did.SAME]
    if as_json:
        show_json([{**entry, "diff": file.diff} for entry, file in zip(_json(files), files, strict=True)])
    elif wrong:
        for file in wrong:
            _show_diff(file)
        note(f"not what gitml.yaml asks for: {', '.join(file.path for file in wrong)}")
        note("  run `gitml ci render` and commit what it writes")
    else:
        show(f"{len(files)} workflows: as rendered")
    return 1 if wrong else 0


def _show_diff(file: Workflow) -> None:
    for line in file.diff.split("\n"):
        style = _DIFF.get(line[:1])
        show(paint(printable(line), style) if style else printable(line))


def _json(files: tuple[Workflow, ...]) -> list[dict[str, str]]:
    return [picked(file, "path", "change") for file in files]
