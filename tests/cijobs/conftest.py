from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.running import agent_world, world
from forges.fixtures import chaos, kit
from gitml.files import write_file
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
def _the_same_picture_is_drawn_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """A process that draws takes a second to start; towns that begin alike have the same charts, in all processes."""
    base = tmp_path_factory.getbasetemp()
    kept = (base if worker_id == "master" else base.parent) / "pictures"
    kept.mkdir(exist_ok=True)
    drawn, known = charts._drawn, dict[str, list[bytes | charts.ChartError]]()

    def remembered(
        specs: Sequence[object], seconds: float, form: charts.PictureForm
    ) -> list[bytes | charts.ChartError]:
        key = hashlib.sha256(json.dumps([form, *specs]).encode()).hexdigest()
        if key not in known:
            known[key] = fetched(kept / key) or drawn(specs, seconds, form)
            pictures = [one for one in known[key] if isinstance(one, bytes)]
            if len(pictures) == len(known[key]):
                write_file(kept / key, json.dumps([picture.hex() for picture in pictures]).encode())
        return known[key]

    def fetched(file: Path) -> list[bytes | charts.ChartError]:
        return [bytes.fromhex(text) for text in json.loads(file.read_bytes())] if file.exists() else []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "_drawn", remembered)
        yield
