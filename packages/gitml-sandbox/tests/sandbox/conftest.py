from collections.abc import Iterator
from pathlib import Path

import pytest

from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.rest_kit import close_clients
from sandbox.runner_kit import Clock, Works
from sandbox.runner_kit import works as make_works


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """One running sandbox for the session, without a runner; each test makes its own repository."""
    root: Path = tmp_path_factory.mktemp("sandbox") / "state"
    with serving(root, Options(port=0, runner=False)) as running:
        yield Kit(running.sandbox, running.address.url, people(running.sandbox))
        close_clients(running.address.url)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kit, Runner, Clock]]:
    """One running sandbox with a runner whose clock tests may turn forwards."""
    clock = Clock()
    root = tmp_path_factory.mktemp("workshop") / "state"
    with serving(root, Options(port=0, runner=False, clock=clock)) as running:
        runner = Runner(
            running.sandbox,
            {**dict.fromkeys(("m1", "m2", "m3", "m4"), HOSTED), "g1": ["self-hosted", "gpu"]},
            poll_seconds=0.1,
            passed={"HANDED_ON": "a value", "GITHUB_REF": "not this one"},
        )
        runner.start()
        try:
            yield Kit(running.sandbox, running.address.url, people(running.sandbox)), runner, clock
        finally:
            runner.stop()


@pytest.fixture
def works(workshop: tuple[Kit, Runner, Clock], tmp_path: Path) -> Works:
    """A repository of its own in the workshop."""
    kit, runner, _ = workshop
    return make_works(kit, runner, tmp_path / "clone")


@pytest.fixture
def clock(workshop: tuple[Kit, Runner, Clock]) -> Clock:
    return workshop[2]
