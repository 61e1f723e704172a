"""Towns for tests: built once for a session, copied for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import packed
from promotion.gating import Gated, copied_gated, new_gated
from promotion.promoting import MemoryTown, copied, new_town


@pytest.fixture(scope="session")
def town_template(tmp_path_factory: pytest.TempPathFactory) -> MemoryTown:
    made = new_town(tmp_path_factory.mktemp("town"))
    packed(made.folder)
    return made


@pytest.fixture(scope="session")
def gated_template(town_template: MemoryTown, tmp_path_factory: pytest.TempPathFactory) -> Gated[MemoryTown]:
    made = new_gated(copied(town_template, tmp_path_factory.mktemp("gated")))
    packed(made.town.folder)
    return made


@pytest.fixture
def new_town_here(town_template: MemoryTown, tmp_path: Path) -> Callable[[], MemoryTown]:
    """Makes a town in which nothing was trained yet."""
    return lambda: copied(town_template, tmp_path)


@pytest.fixture
def new_gated_here(gated_template: Gated[MemoryTown], tmp_path: Path) -> Callable[..., Gated[MemoryTown]]:
    """Makes a town whose gate has a key; its arguments are changes of the policy."""
    return lambda **changes: copied_gated(gated_template, tmp_path, **changes)
