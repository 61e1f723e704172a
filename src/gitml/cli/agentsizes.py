"""Processes and memory of the pods that ``gitml agent manifest`` prints: from a file, or from signed evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from gitml import clock
from gitml.agent.manifest import ASSUMED_MB, ManifestOrder, sized
from gitml.cli.agentplace import told_by
from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.output import note, printable
from gitml.reports.figures import plural

if TYPE_CHECKING:
    from gitml.agent.sizes import EnvironmentSize

_FILE = "gitml size MODEL --target 500/s --json > size.json"


def sized_by_file(order: ManifestOrder, file: Path) -> ManifestOrder:
    """From what ``gitml size --json`` printed; the rate that it is for is shared out among the pods."""
    try:
        told = json.loads(file.read_bytes())
    except ValueError as exc:
        raise UsageError(f"{file} is no JSON", _FILE) from exc
    processes, memory = sized(told if isinstance(told, dict) else {})
    said = f"{told.get('model')}@{told.get('version')}, measured by gitml size"
    return replace(order, processes=_each(processes, order), memory=memory, sizing=printable(said)[:500])


def sized_by_evidence(ctx: click.Context, order: ManifestOrder, rate: float | None) -> ManifestOrder:
    """From evidence `evaluated` of what main names for the environment. ``rate``: requests a second, of all pods.

    Raises OutsideError where the repository cannot be read, InconclusiveError where the rate needs what nobody
    measured.
    """
    found = _measured(ctx, order)
    missing = "; ".join(found.missing) or ("" if found.versions else f"main names no version for {order.environment}")
    if missing and rate is not None:
        raise InconclusiveError(
            printable(f"nobody knows how many processes answer {rate:g} requests a second: {missing}"),
            f"main's job `verify` measures what it has not measured yet; or give --size: {_FILE}",
        )
    memory = found.memory + ASSUMED_MB * (len(found.missing) or not found.versions)
    told = [f"{one.name} {one.memory:,.0f} MB and {1 / one.row:,.0f} rows/s ({one.evidence})" for one in found.versions]
    if missing:
        told.append(f"{ASSUMED_MB:,} MB are assumed, as {missing}")
    processes = 1 if rate is None else _each(found.processes(rate), order)
    said = printable("; ".join(told))
    note(f"{plural(processes, 'process', 'processes')} a pod, {memory:,.0f} MB each: {said}")
    return replace(order, processes=processes, memory=memory, sizing=said[:2000])


def _each(processes: int, order: ManifestOrder) -> int:
    return -(-processes // order.replicas)


def _measured(ctx: click.Context, order: ManifestOrder) -> EnvironmentSize:
    from gitml.agent.sizes import environment_size
    from gitml.agent.source import Mirror
    from gitml.agent.state import MIRROR

    with TemporaryDirectory(prefix="gitml-manifest-") as folder:
        options = {"source": order.source, "repository": order.repository, "branch": order.branch}
        told = told_by(ctx, order.environment, {**options, "folder": order.folder, "state": Path(folder)})
        mirror = Mirror(told.folder / MIRROR, told.remote, told.branch, told.prefix)
        try:
            mirror.prepare()
            mirror.fetch()
        except OutsideError as exc:
            hint = f"without the repository the sizes come from a file, --size: {_FILE}"
            raise OutsideError(exc.message, hint) from exc
        settings = told.settings
        return environment_size(mirror, order.environment, settings.repository, clock.now(), settings.host)
