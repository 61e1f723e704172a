from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from threats.kit import Scene, Template, template


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return template(tmp_path_factory.mktemp("threats") / "made")


@pytest.fixture
def scene(made: Template, tmp_path: Path) -> Iterator[Scene]:
    """A copy of the scene, for one attack."""
    with made.again(tmp_path / "scene") as found:
        yield found
