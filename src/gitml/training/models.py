"""``gitml models``: the inventory, read from file names and as few records as the answer needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.git.tree import WorkTree
from gitml.registry import Deployed, Found, deployed, find, read_json
from gitml.spec import Application, load_application


@dataclass(frozen=True)
class Listed:
    """One version in a list. ``metrics`` holds the finite numbers; ``readable`` is false for a bad file."""

    version: str
    digest8: str
    created: str
    origin: str
    metrics: Mapping[str, float]
    places: tuple[Deployed, ...]
    readable: bool = True


@dataclass(frozen=True)
class Inventory:
    """One model of the application with its newest version."""

    model: str
    description: str
    better: Mapping[str, str]
    count: int
    versions: tuple[Listed, ...]
    places: tuple[Deployed, ...]


def models(root: Path) -> list[Inventory]:
    """Every model with its newest version."""
    application = load_application(root)
    return [_inventory(root, application, name, 1) for name in application.models]


def versions(root: Path, model: str, limit: int | None) -> Inventory:
    """One model with its ``limit`` newest versions, or all."""
    application = load_application(root)
    if model not in application.models:
        raise UsageError(f"there is no model {model}", f"models here: {', '.join(application.models)}")
    return _inventory(root, application, model, limit)


def _inventory(root: Path, application: Application, name: str, limit: int | None) -> Inventory:
    model = application.models[name]
    places = deployed(WorkTree(root), name)
    records = find(root, name)
    chosen = reversed(records if limit is None else records[-limit:])
    listed = tuple(_listed(f, read_json(f), places) for f in chosen)
    return Inventory(name, model.description, model.better, len(records), listed, places)


def _listed(found: Found, data: dict[str, Any] | None, places: tuple[Deployed, ...]) -> Listed:
    here = tuple(p for p in places if p.version == found.version)
    raw = data.get("metrics") if data else None
    metrics = {n: v for n, m in raw.items() if (v := _value(m)) is not None} if isinstance(raw, dict) else {}
    origin = str(data.get("origin", "")) if data else ""
    return Listed(found.version, found.digest8, found.time, origin, metrics, here, readable=data is not None)


def _value(metric: Any) -> float | None:
    value = metric.get("value") if isinstance(metric, dict) else None
    return value if isinstance(value, int | float) and math.isfinite(value) else None
