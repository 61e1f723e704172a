"""``gitml gc``"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.errors import UsageError
from gitml.fields import parse_duration
from gitml.jsontext import picked
from gitml.output import note, paint, show, show_json, size, table
from gitml.training.gc import GcCall, GcResult, Plan, collect, plan

_LINES = 20


def _duration(_: click.Context, __: click.Parameter, value: str) -> timedelta:
    try:
        return parse_duration(value)
    except ValueError as exc:
        raise click.BadParameter(f"{exc}: write it like 30m, 12h or 7d") from exc


@click.command(
    epilog=examples(
        "gitml gc --dry-run              what nothing names any more, and how much it is",
        "gitml gc                        the same, then ask, then delete it from the cache",
        "gitml gc --remote store --yes   from the DVC remote too, without asking",
    )
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--remote", metavar="NAME", help="Delete from this DVC remote too.")
@click.option("--min-age", default="2h", show_default=True, callback=_duration, help="Keep what is younger.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@click.option("--no-wait", is_flag=True, help="Fail at once when somebody is training in this clone.")
@as_json
@click.pass_context
def gc(
    ctx: click.Context,
    /,
    *,
    dry_run: bool,
    remote: str | None,
    min_age: timedelta,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Delete what nothing names any more from DVC's cache.

    Kept is what a version record, a deployment, a dvc.lock or a .dvc file names, on the tip of any branch (local or
    fetched), tag or stash, in an index or in the files here; and what is young. When it cannot be known
    what is needed, nothing is deleted. `dvc gc` would delete artifacts that only version records name.
    """
    root = root_of(ctx)
    call = GcCall(note, remote, min_age, wait=not no_wait)
    plans = plan(root, call)
    if not as_json:
        for entry in plans:
            _show(entry)
    going = sum(len(p.unneeded) for p in plans)
    agreed = not dry_run and (yes or (going > 0 and _agreed(going, plans)))
    done = collect(root, call, plans) if agreed else None
    if as_json:
        show_json(_json(plans, done))
    elif done:
        for store, (count, total) in done.deleted.items():
            show(f"{store}: {_objects(count)} deleted, {size(total)} free")


def _agreed(going: int, plans: tuple[Plan, ...]) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask here", "add --yes to delete this, or --dry-run to look only")
    where = " and the ".join(p.store for p in plans)
    return click.confirm(f"delete {_objects(going)} from the {where}?", err=True)


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"


def _show(entry: Plan) -> None:
    show(paint(f"{entry.store}", "bold") + f"  {entry.place}")
    kept = f"{_objects(entry.kept)} kept ({size(entry.kept_bytes)})"
    show(f"  {kept}, {entry.young} of them only because they are young" if entry.young else f"  {kept}")
    show(f"  {_objects(len(entry.unneeded))} that nothing names ({size(entry.unneeded_bytes)})")
    rows = _rows(entry)
    if rows:
        text = table([["", *row] for row in rows[:_LINES]], right=[2, 3])
        show(text + (f"\n  and {len(rows) - _LINES} more: see --json" if len(rows) > _LINES else ""))


def _rows(entry: Plan) -> list[list[str]]:
    """A line for each stage and path, largest first."""
    groups: dict[str, list[int]] = {}
    for unneeded in entry.unneeded:
        groups.setdefault(unneeded.label or "made elsewhere", []).append(unneeded.size)
    ordered = sorted(groups.items(), key=lambda item: -sum(item[1]))
    return [[label, _objects(len(sizes)), size(sum(sizes))] for label, sizes in ordered]


def _json(plans: tuple[Plan, ...], done: GcResult | None) -> dict[str, Any]:
    return {
        "stores": [
            {
                **picked(p, "store", "place", "unneeded_bytes", "kept", "kept_bytes", "young"),
                "unneeded": [{"oid": u.oid, "bytes": u.size, "label": u.label} for u in p.unneeded],
            }
            for p in plans
        ],
        "deleted": {store: {"objects": n, "bytes": b} for store, (n, b) in done.deleted.items()} if done else None,
        "notes": done.notes if done else 0,
    }
