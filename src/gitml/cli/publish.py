"""``gitml ci publish``"""

from __future__ import annotations

import os
from pathlib import Path

import click

from gitml.cijobs.handover import place_of
from gitml.cijobs.publish import Published, PublishOrder, World
from gitml.cijobs.publish import publish as run_publish
from gitml.cli.common import as_json, examples
from gitml.errors import UsageError
from gitml.forges.table import settings_from
from gitml.output import note, printable, show, show_json
from gitml.publishing.pictures import FOLDER
from gitml.spec import find_root, load_application


@click.command(
    epilog=examples(
        "gitml ci publish                       the report of this CI run",
        "gitml ci publish --dry-run             show the comment, write nothing",
        "gitml ci publish --from-fork           in a workflow that workflow_run starts",
    )
)
@click.option("--report", type=click.Path(path_type=Path), help="The report; by default report.json in $GITML_CI.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="Folder of its pictures; by default `report-pictures` beside it.",
)
@click.option("--publisher", type=click.Choice(["auto", "gitml", "cml"]), help="Instead of what gitml.yaml says.")
@click.option("--also", multiple=True, metavar="COMMIT", help="Another commit that gets the status.")
@click.option("--from-fork", is_flag=True, help="The report comes from a fork's run: believe the event, not the file.")
@click.option("--dry-run", is_flag=True, help="Ask the forge where it would go, and show it.")
@as_json
@click.pass_context
def publish(
    ctx: click.Context,
    /,
    report: Path | None,
    pictures: Path | None,
    publisher: str | None,
    also: tuple[str, ...],
    **flags: bool,
) -> None:
    """Post the report of a CI run: one comment on the pull request, the job summary, a commit status.

    The comment goes to the open pull request of the branch, else to the commit, and is updated in place. What to
    call and as whom comes from GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN and the like.
    """
    here = Path(ctx.obj or ".")
    root, name, wanted = _of_application(here)
    place = report or place_of(root) / "report.json"
    order = PublishOrder(
        report=place,
        pictures=pictures or place.parent / FOLDER,
        application=name,
        publisher=publisher or wanted,
        also=also,
        from_fork=flags["from_fork"],
        dry_run=flags["dry_run"],
    )
    settings = settings_from(os.environ)
    done = run_publish(order, World(os.environ, settings, lambda text: note(printable(text))))
    _show(done, order, as_json=flags["as_json"])


def _of_application(here: Path) -> tuple[Path, str, str]:
    """Root, name and publisher; a job that only publishes needs no clone, and a broken gitml.yaml is no reason."""
    root = here
    try:
        root = find_root(here)
        application = load_application(root)
    except UsageError:
        return root, "application", "auto"
    return root, application.application, application.publisher


def _show(done: Published, order: PublishOrder, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "place": done.place,
                "url": done.url,
                "comment": done.how,
                "by": done.by,
                "status": done.state.value,
                "description": done.description,
            }
        )
        return
    if order.dry_run:
        show(f"would be posted on {done.place or 'nothing: it is about something older'}:")
        show()
        show(done.text)
        return
    words = {"superseded": "not posted: there is a newer one"}
    show(f"report {words.get(done.how, done.how)}" + (f" on {done.place} by {done.by}: {done.url}" if done.url else ""))
    show(printable(f"status {done.state.value}: {done.description}"))
