"""``gitml graph``."""

from __future__ import annotations

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.errors import UsageError
from gitml.jsontext import picked
from gitml.output import note, printable, show, show_json


@click.command(
    epilog=examples(
        "gitml graph                        each model: its stages, what it needs, where it runs",
        "gitml graph --mermaid > graph.mmd  for a page, or a fenced block of a comment",
        "gitml graph --json                 nodes and edges, for scripts",
    )
)
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a flowchart in Mermaid's language.")
@as_json
@click.pass_context
def graph(ctx: click.Context, /, *, as_mermaid: bool, as_json: bool) -> None:
    """Show how stages, models and environments depend on each other.

    It is read from gitml.yaml, policy.yaml, dvc.yaml, the deployments and the files of ensembles, as they are here, and
    is the same for the same files. Nothing is fetched: models of other repositories stand as they are named.

    A diagram on a page of GitHub holds 500 edges and 50,000 characters: what is over that is left out, edges between
    stages first, and the diagram and a line on stderr say how much.
    """
    from gitml.project.graph import graph as application_graph
    from gitml.reports.graph import mermaid, tree_text

    if as_mermaid and as_json:
        raise UsageError("--mermaid and --json are two forms", "choose one")
    found = application_graph(root_of(ctx))
    if as_json:
        show_json(picked(found, "application", "nodes", "edges"))
    elif as_mermaid:
        drawn = mermaid(found)
        show(drawn.text.rstrip("\n"))
        if drawn.left_out:
            note(printable(drawn.left_out))
    else:
        show(tree_text(found))
