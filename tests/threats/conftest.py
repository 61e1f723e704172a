from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.running import agent_world, world
from promotion.towns import gated_template, new_gated_here, new_town_here, town_template
from threats.kit import Scene, Template, template

__all__ = ["agent_world", "gated_template", "new_gated_here", "new_town_here", "town_template", "world"]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """At rest, so one serves all modules that add nothing to it."""
    return template(tmp_path_factory.mktemp("threats") / "made")


@pytest.fixture
def scene(made: Template, tmp_path: Path) -> Iterator[Scene]:
    """A copy of the scene, for one attack."""
    with made.again(tmp_path / "scene") as found:
        yield found
