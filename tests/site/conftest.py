"""One application with a history, built once for all tests of the site, and its facts."""

from __future__ import annotations

import pytest

from forges.fixtures import kit
from gallery import facts_of, gallery
from gitml.site.facts import SiteFacts
from promotion.gating import Gated
from promotion.promoting import MemoryTown
from promotion.towns import gated_template, town_template

__all__ = ["gated_template", "kit", "town_template"]


@pytest.fixture(scope="session")
def shown(gated_template: Gated[MemoryTown], tmp_path_factory: pytest.TempPathFactory) -> Gated[MemoryTown]:
    """Nobody changes it."""
    return gallery(gated_template, tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="session")
def facts(shown: Gated[MemoryTown]) -> SiteFacts:
    return facts_of(shown)
