from collections.abc import Iterator
from pathlib import Path

import pytest

from gitml.sandbox.serve import Options, serving
from sandbox.forge_kit import Kit, people


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """One running sandbox for the session, without a runner; each test makes its own repository."""
    root: Path = tmp_path_factory.mktemp("sandbox") / "state"
    with serving(root, Options(port=0, runner=False)) as running:
        yield Kit(running.sandbox, running.address.url, people(running.sandbox))
