"""One application with a history, built once for all tests of the site, and its facts."""

from __future__ import annotations

import pickle

import filelock
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
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> SiteFacts:
    """Gathered once for all processes that run tests: most of them need no repository."""
    base = tmp_path_factory.getbasetemp()
    kept = (base if worker_id == "master" else base.parent) / "site-facts.pickle"
    with filelock.FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(facts_of(request.getfixturevalue("shown"))))
    found: SiteFacts = pickle.loads(kept.read_bytes())
    return found
