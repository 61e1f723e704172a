from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from agent.running import agent_world, world
from forges.fixtures import chaos, kit
from gitml.reports import charts
from promotion.towns import gated_template, new_gated_here, new_town_here, town_template

__all__ = [
    "agent_world",
    "chaos",
    "gated_template",
    "kit",
    "new_gated_here",
    "new_town_here",
    "town_template",
    "world",
]


@pytest.fixture(scope="session", autouse=True)
def _the_same_picture_is_drawn_once() -> Iterator[None]:
    """A process that draws takes a second to start, and towns that begin alike have the same charts."""
    drawn, known = charts._drawn, dict[str, list[bytes | charts.ChartError]]()

    def remembered(specs: Sequence[object], seconds: float) -> list[bytes | charts.ChartError]:
        key = json.dumps(specs)
        if key not in known:
            known[key] = drawn(specs, seconds)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "_drawn", remembered)
        yield
