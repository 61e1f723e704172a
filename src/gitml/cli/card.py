"""``gitml card``"""

from __future__ import annotations

from pathlib import Path

import click

from gitml.cli.common import examples, root_of
from gitml.output import show


@click.command(
    epilog=examples(
        "gitml card delay                            the newest version, as Markdown",
        "gitml card delay@production --html --output card.html",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION|@ENVIRONMENT]")
@click.option("--html", "as_html", is_flag=True, help="A page instead of Markdown.")
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it there. Default: print it.")  # fmt: skip
@click.pass_context
def card(ctx: click.Context, /, reference: str, target: Path | None, *, as_html: bool) -> None:
    """Write the card of a version: what it is for, how good it is, what it is made of, each fact with its source.

    The Markdown has the head that Hugging Face reads, with `model-index`. What only people know stands in gitml.yaml:
    `purpose`, `owner`, `tier`, and `card` with `limits`, `users`, `license`. The same state gives the same bytes.
    """
    from gitml.files import write_file
    from gitml.governance.card import card as made
    from gitml.governance.described import described
    from gitml.reports.card import html, markdown

    facts = made(described(root_of(ctx), reference))
    content = html(facts) if as_html else markdown(facts).encode()
    if target:
        write_file(target, content)
    else:
        show(content.decode().rstrip("\n"))
