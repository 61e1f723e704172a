"""``gitml card``"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitml.cli.common import examples, root_of
from gitml.errors import GitmlError
from gitml.output import show

if TYPE_CHECKING:
    from gitml.governance.approvals import VersionDecision
    from gitml.registry import Record


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
    """Write the card of a version: what it is for, who approved it, how good it is, what it goes by and is made of.

    Each fact names its source. The Markdown has the head that Hugging Face reads, with `model-index`. What only people
    know stands in gitml.yaml: `purpose`, `owner`, `tier`, and `card` with `limits`, `users`, `license`; approvals and
    reviews are those of the ledger. The same state gives the same bytes.
    """
    from gitml.files import write_file
    from gitml.governance.card import card as made
    from gitml.governance.described import described
    from gitml.reports.card import html, markdown

    root = root_of(ctx)
    version = described(root, reference)
    facts = made(replace(version, decisions=_decisions(root, version.record)))
    content = html(facts) if as_html else markdown(facts).encode()
    if target:
        write_file(target, content)
    else:
        show(content.decode().rstrip("\n"))


def _decisions(root: Path, record: Record) -> tuple[VersionDecision, ...] | None:
    """None where the clone has no ledger, or nothing says whose it is."""
    from gitml.governance.approvals import decisions_of
    from gitml.promotion.evidence import events, here

    try:
        return decisions_of(events(here(root, os.environ)), record)
    except GitmlError:
        return None
