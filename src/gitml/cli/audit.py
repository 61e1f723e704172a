"""``gitml audit``"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from gitml.cli.common import F, as_json, examples, root_of
from gitml.evidence.audit import Audit
from gitml.evidence.export import change_row, event_row
from gitml.output import note, paint, printable, show, show_json
from gitml.promotion.audit import AuditCall
from gitml.promotion.audit import audit as run_audit
from gitml.promotion.auditexport import export as write_export
from gitml.promotion.auditexport import reread
from gitml.verdict import Phase

_STYLES = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "yellow"}


def _asking(command: F) -> F:
    """What to audit, and how much to ask."""
    options = (
        click.option(
            "--ledger-head", metavar="SHA", default="", help="A head that the ledger had once, kept elsewhere."
        ),
        click.option("--since", metavar="COMMIT", default="", help="Judge only what came to main after this commit."),
        click.option("--fetch", is_flag=True, help="First fetch main and the ledger from origin."),
        click.option("--offline", is_flag=True, help="Do not ask the forge how commits came to main."),
        click.option("--repository", metavar="OWNER/NAME", default="", help="Where origin does not say it."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _asked(ledger_head: str, since: str, repository: str, *, fetch: bool, offline: bool) -> AuditCall:
    has_token = bool(os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN"))
    return AuditCall(repository, ledger_head, since, fetch=fetch, ask_forge=has_token and not offline)


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "gitml audit --fetch",
        "gitml audit --ledger-head 8f0c…  a head kept elsewhere: was the ledger rewritten?",
        "gitml audit export --out audit-2026",
        "gitml audit --export audit-2026  judge an export again, without its repository",
    ),
)
@_asking
@click.option(
    "--export",
    "exported",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Audit the export in this folder instead of a clone.",
)
@as_json
@click.pass_context
def audit(ctx: click.Context, /, *, exported: Path | None, as_json: bool, **asked: Any) -> int:
    """Compare main with the ledger, both ways.

    Every change of a deployment on main needs its evidence, all evidence its change, and the ledger may only grow.
    With GITHUB_TOKEN the forge is asked which commits came by pull requests. Exit code 0: all agree. 1: findings.
    3: not everything could be settled.
    """
    if ctx.invoked_subcommand:
        return 0
    if exported:
        result = reread(exported, asked["ledger_head"])
    else:
        result = run_audit(root_of(ctx), os.environ, _asked(**asked), note=lambda text: note(printable(text)))
    _show(result, as_json=as_json)
    return result.verdict.exit_code


@audit.command(epilog=examples("gitml audit export --out audit-2026"))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to write.")
@_asking
@click.pass_context
def export(ctx: click.Context, /, *, out: Path, **asked: Any) -> int:
    """Write the audit as JSON Lines, CSV and a page, with all that it takes to judge it again.

    Exit codes are those of the audit.
    """
    result = run_audit(root_of(ctx), os.environ, _asked(**asked), note=lambda text: note(printable(text)))
    for path in write_export(result, out):
        show(printable(str(path)))
    note(_line(result))
    return result.verdict.exit_code


def _line(result: Audit) -> str:
    phase = result.verdict.phase
    return f"{paint(phase.value, _STYLES[phase], 'bold')}: {printable(result.verdict.reason)}"


def _show(result: Audit, *, as_json: bool) -> None:
    facts = result.facts
    if as_json:
        show_json(
            {
                "verdict": result.verdict,
                "repository": facts.repository,
                "main": facts.main,
                "ledger_head": facts.head,
                "kept": list(facts.kept),
                "asked_forge": facts.ways is not None,
                "findings": result.findings,
                "changes": [change_row(row) for row in result.changes],
                "events": [event_row(event) for event in result.events],
                "older_changes": result.older,
            }
        )
        return
    for finding in sorted(result.findings, key=lambda f: (f.phase is not Phase.FAILED, f)):
        mark = paint(finding.kind.value, _STYLES[finding.phase])
        at = f" at {finding.commit[:12]}" if finding.commit else ""
        show(f"{mark}  {printable(finding.subject)}{at}")
        show(f"    {printable(finding.message)}")
    show(_line(result))
    if result.older:
        note(f"{result.older} older changes were not judged")
    if facts.head:
        show(f"ledger head  {facts.head}")
        if not facts.kept:
            note("keep this head elsewhere: `gitml audit --ledger-head` tells whether the ledger was rewritten since")
