"""``gitml bom``"""

from __future__ import annotations

from pathlib import Path

import click

from gitml.cli.common import examples, root_of
from gitml.output import note, show


@click.command(
    epilog=examples(
        "gitml bom delay                             the newest version",
        "gitml bom delay@production --output bom.json",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION|@ENVIRONMENT]")
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it there. Default: print it.")  # fmt: skip
@click.pass_context
def bom(ctx: click.Context, /, reference: str, target: Path | None) -> None:
    """Write the bill of materials of a version: CycloneDX 1.6 (JSON), with data sets, packages, hashes, metrics.

    It is derived from the version's record, its lock file and gitml.yaml, and the same for the same state of these.
    Each part names its source.
    """
    from gitml.files import write_file
    from gitml.governance.bom import bill
    from gitml.governance.described import described
    from gitml.jsontext import pretty

    version = described(root_of(ctx), reference)
    if version.record.packages and version.packages is None:
        note(f"{version.record.packages.path} is not to be had as the record names it, so packages are left out")
    text = pretty(bill(version), indent=2)
    if target:
        write_file(target, text.encode())
    else:
        show(text.rstrip("\n"))
