"""One application with a history, built once for all tests of the site, and its facts."""

from __future__ import annotations

import pickle

import filelock
import pytest

from forges.fixtures import kit
from gallery import Gathered, gallery, gathered_from
from gitml.site.facts import SiteFacts
from promotion.gating import Gated
from promotion.promoting import MemoryTown
from promotion.towns import gated_template, town_template

__all__ = ["gated_template", "kit", "town_template"]


@pytest.fixture(scope="session")
def shown(gated_template: Gated[MemoryTown], tmp_path_factory: pytest.TempPathFactory) -> Gated[MemoryTown]:
    """Nobody changes it. It takes seconds: ``gathered`` does for most."""
    return gallery(gated_template, tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="session")
def gathered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Gathered:
    """Once for all processes that run tests: nobody changes the application, and few need its repository."""
    base = tmp_path_factory.getbasetemp()
    kept = (base if worker_id == "master" else base.parent) / "site-facts.pickle"
    with filelock.FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(gathered_from(request.getfixturevalue("shown"))))
    found: Gathered = pickle.loads(kept.read_bytes())
    return found


@pytest.fixture(scope="session")
def facts(gathered: Gathered) -> SiteFacts:
    return gathered.facts
