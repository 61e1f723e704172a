"""``gitml site``"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.cli.extras import require
from gitml.cli.proposed import names_forge, placed
from gitml.output import note, printable, show, show_json, size

if TYPE_CHECKING:
    from gitml.control.place import Place
    from gitml.site.facts import SiteFacts


@click.group(
    epilog=examples(
        "gitml site build --role risk --out site    pages for one role",
        "gitml site serve --role risk               the same on this machine alone",
    )
)
def site() -> None:
    """Pages that show each role its part of the application."""


# Of each model: nobody copies what is served, so there is room for more pages.
_SERVED = 200
_repository = click.option("--repository", metavar="OWNER/NAME", default="", help="Where origin does not say it.")
_kpis = click.option(
    "--kpis",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="What `gitml kpi --json` printed: days of KPIs, which the site draws.",
)
_bias = click.option(
    "--bias",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    metavar="FILE",
    help="What `gitml bias MODEL --json` printed, which the site shows; may be repeated.",
)
_offline = click.option("--offline", is_flag=True, help="Ask no forge: show what this clone knows.")


@site.command(
    epilog=examples(
        "gitml site build --role risk --out site",
        "gitml site build --role operations --role risk --out sites    a folder for each",
        "gitml site build --offline --out site                        everything, for who may see everything",
    )
)
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role of policy.yaml; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to write.")
@_kpis
@_bias
@_repository
@_offline
@as_json
@click.pass_context
def build(ctx: click.Context, /, *, roles: tuple[str, ...], out: Path, as_json: bool, **asked: Any) -> None:
    """Write the site of a role: pages that need no script and load nothing from elsewhere.

    `views` of policy.yaml say which pages, models and columns a role sees; what it may not see is not written. An older
    site in the folder is replaced. With GITHUB_TOKEN the forge says what waits, and what runs. Equal state gives equal
    bytes.
    """
    require("site")
    from gitml.site.build import build as write_site
    from gitml.site.order import orders

    facts = gathered(ctx, **asked)
    for text in (*facts.notes, facts.ledger_problem):
        if text:
            note(printable(text))
    built = [write_site(facts, *order) for order in orders(root_of(ctx), roles, out)]
    if as_json:
        show_json(built)
    else:
        for one in built:
            show(printable(f"{one.folder}: {one.pages} pages, {size(one.size)}"))


@site.command(epilog=examples("gitml site serve", "gitml site serve --role risk --port 8480"))
@click.option("--role", default="", metavar="ROLE", help="A role of policy.yaml; everything without it.")
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True, help="0: any that is free.")
@_kpis
@_bias
@_repository
@_offline
@click.pass_context
def serve(ctx: click.Context, /, *, role: str, port: int, **asked: Any) -> None:
    """Show the site on this machine alone, made anew when something changed.

    It answers at 127.0.0.1 and to nobody else's name, and also compares any two moments. Ctrl-C ends it.
    """
    require("site")
    from gitml.site.order import view_of
    from gitml.site.serve import SiteServer

    root = root_of(ctx)
    view = view_of(root, role)
    with SiteServer(lambda: gathered(ctx, **asked, pages=_SERVED), role, view, port) as server:
        show(printable(server.url))
        server.run()


def gathered(
    ctx: click.Context,
    *,
    repository: str,
    offline: bool,
    kpis: Path | None = None,
    bias: tuple[Path, ...] = (),
    pages: int = 0,
) -> SiteFacts:
    """All that is known, with the forge where one can be asked."""
    from gitml.site.gather import SiteSource, gather
    from gitml.site.readbusiness import bias_counts
    from gitml.site.readkpis import kpi_days

    days, counts = kpi_days(kpis) if kpis else {}, bias_counts(bias)
    with _maybe_placed(ctx, offline=offline) as place:
        source = SiteSource(root_of(ctx), os.environ, repository, place, offline, kpis=days, bias=counts)
        return gather(replace(source, pages_per_model=pages) if pages else source)


@contextmanager
def _maybe_placed(ctx: click.Context, *, offline: bool) -> Iterator[Place | None]:
    """The forge, where there is one that can be asked."""
    has_token = any(os.environ.get(name) for name in ("GITHUB_TOKEN", "GH_TOKEN"))
    if offline or not names_forge(root_of(ctx)) or not (has_token or os.environ.get("GITML_FORGE")):
        yield None
        return
    with placed(ctx) as place:
        yield place
