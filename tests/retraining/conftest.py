from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forges.fixtures import kit
from promotion.gating import Gated
from promotion.promoting import MemoryTown
from promotion.towns import gated_template, new_gated_here, new_town_here, town_template
from retraining.retrain_town import RetrainTown, build

__all__ = ["gated_template", "kit", "new_gated_here", "new_town_here", "town_template"]


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the disk, nor for runs that a push might start."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr("gitml.cijobs.retrain._LOOKS", 0)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GITML_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def retrain_town(gated_template: Gated[MemoryTown], tmp_path: Path) -> Callable[..., RetrainTown]:
    """Makes a town whose champion is watched and retrained; its arguments are keys of `retrain` in gitml.yaml."""
    return lambda **spec: build(gated_template, tmp_path, **spec)
