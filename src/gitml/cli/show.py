"""``gitml show``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gitml.cli.common import as_json, examples, interval, number, root_of
from gitml.jsontext import picked
from gitml.output import paint, printable, show_json, size, table
from gitml.output import show as say
from gitml.registry import Record
from gitml.training.show import ShownVersion
from gitml.training.show import show as show_version


@click.command(
    epilog=examples(
        "gitml show delay              the newest version",
        "gitml show delay@3f2a         the version whose digest starts with 3f2a",
        "gitml show delay@production   the champion of an environment",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION]")
@as_json
@click.pass_context
def show(ctx: click.Context, reference: str, *, as_json: bool) -> None:
    """Show one version with its full lineage."""
    root = root_of(ctx)
    shown = show_version(root, reference)
    if as_json:
        show_json(_json(root, shown))
        return
    for part in (_head(root, shown), _metrics(shown.record), _stages(shown.record), _signature(shown.record)):
        if part:
            say(part + "\n")


def _json(root: Path, shown: ShownVersion) -> dict[str, Any]:
    return {
        **json.loads(shown.record.to_json()),
        "record": shown.path.relative_to(root),
        "deployed": [picked(p, "environment", "role") for p in shown.places],
    }


def _head(root: Path, shown: ShownVersion) -> str:
    record = shown.record
    artifact = record.files[record.artifact]
    facts = [
        ["created", f"{record.created.replace('T', ' ').rstrip('Z')} UTC"],
        ["digest", record.digest],
        ["origin", record.origin + (f", from {record.source}" if record.source else "")],
        ["commit", record.commit or "none"],
        ["artifact", f"{record.artifact} ({size(artifact.size)})"],
        ["sha256", artifact.sha256],
        ["record", shown.path.relative_to(root).as_posix()],
    ]
    if record.dirty:
        facts.insert(4, ["not committed", ", ".join(record.dirty)])
    if record.packages:
        facts.append(
            ["packages", f"{record.packages.path} {record.packages.sha256[:8]}, Python {record.packages.python}"]
        )
    places = [f"{p.environment} ({p.role})" for p in shown.places]
    facts.append(["runs in", ", ".join(places) or "no environment"])
    return paint(f"{record.model} {record.version}", "bold") + "\n" + table(facts)


def _metrics(record: Record) -> str:
    rows = [[name, number(m.value), interval(m.low, m.high)] for name, m in record.metrics.items()]
    return table(rows, ["metric", "value", "95 % interval"], right=[1]) if rows else ""


def _stages(record: Record) -> str:
    blocks = []
    for name, entry in record.entries().items():
        rows = [["  needs", c.path, _short(c.digest), size(c.size)] for c in entry.deps]
        rows += [["  param", k, json.dumps(v, ensure_ascii=False), ""] for k, v in entry.single_params()]
        rows += [["  gives", c.path, _short(c.digest), _amount(record, c.path, c.size)] for c in entry.outs]
        title = paint(f"stage {name}", "bold") + "  " + printable(" && ".join(entry.cmd))
        blocks.append(title + "\n" + table(rows) if rows else title)
    return "\n\n".join(blocks)


def _short(digest: str) -> str:
    return digest.partition(":")[2][:8]


def _amount(record: Record, path: str, count: int) -> str:
    known = record.files.get(path)
    rows = f", {known.rows} rows" if known and known.rows is not None else ""
    return size(count) + rows


def _signature(record: Record) -> str:
    sides = record.signature or {}
    rows = [
        [column["name"], column["type"], _side_note(side, column)]
        for side in ("inputs", "outputs")
        for column in sides.get(side, ())
    ]
    return table(rows, ["signature", "type", ""]) if rows else ""


def _side_note(side: str, column: dict[str, Any]) -> str:
    known = column.get("categories")
    notes = [side.removesuffix("s")]
    notes += [f"{len(known)} categories"] if isinstance(known, list) else []
    notes += ["may be missing"] if column.get("nullable") else []
    return ", ".join(notes)
