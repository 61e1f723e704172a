from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import forkserver
from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.server.serve import Options, serving
from loop.city_kit import City, new_city
from loop.loop_kit import Loop, Template, new_loop, new_template
from loop.turned_kit import TurnedClock
from sandbox.forge_kit import Kit, people
from sandbox.runner_kit import Clock


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kit, Runner, Clock]]:
    """A running sandbox with a runner of three machines; each test makes its own repository."""
    clock = Clock()
    root, tools = tmp_path_factory.mktemp("loop") / "state", tmp_path_factory.mktemp("tools")
    forkserver.commands(tools)
    with serving(root, Options(port=0, runner=False, clock=clock)) as running:
        runner = Runner(running.sandbox, dict.fromkeys(("m1", "m2", "m3"), HOSTED), tools=tools)
        runner.start()
        try:
            yield Kit(running.sandbox, running.address.url, people(running.sandbox)), runner, clock
        finally:
            runner.stop()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return new_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def loop(forge: tuple[Kit, Runner, Clock], template: Template, tmp_path: Path) -> Loop:
    """The toy application in a repository of its own, with workflows and a DVC remote; main is trained."""
    kit, runner, _ = forge
    return new_loop(kit, runner, tmp_path, template)


@pytest.fixture
def city(forge: tuple[Kit, Runner, Clock], tmp_path: Path) -> City:
    """An application whose promotions need a signed gate and approvals by role, in a repository of its own."""
    kit, runner, _ = forge
    return new_city(kit, runner, tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Kit, Runner, TurnedClock]]:
    """A running sandbox of two machines whose clock, and that of its jobs, is turned."""
    clock, tools = TurnedClock(tmp_path / "clock"), tmp_path / "tools"
    tools.mkdir()
    forkserver.commands(tools)
    with serving(tmp_path / "state", Options(port=0, runner=False, clock=clock)) as running:
        passed = {"GITML_CLOCK": str(clock.file)}
        runner = Runner(running.sandbox, dict.fromkeys(("m1", "m2"), HOSTED), tools=tools, passed=passed)
        runner.start()
        try:
            yield Kit(running.sandbox, running.address.url, people(running.sandbox)), runner, clock
        finally:
            runner.stop()
