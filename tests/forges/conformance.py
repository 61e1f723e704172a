"""What every forge has to do for gitml is asked of each of them. A new adapter is one more row of ``HOMES``.

``test_conformance`` and ``test_conformance_decisions`` are the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from forges.gitlab_home import gitlab_home
from forges.homes import Home, memory_home, sandbox_home

Build = Callable[..., Home]
HOMES: Mapping[str, Build] = {
    "memory": lambda request, folder, **how: memory_home(folder / "forge", **how),
    "gitlab": lambda request, folder, **how: gitlab_home(folder / "forge", request.getfixturevalue("standin"), **how),
    "github": lambda request, folder, **how: sandbox_home(request.getfixturevalue("kit"), **how),
}


@pytest.fixture(params=["memory", "gitlab", pytest.param("github", marks=pytest.mark.slow)])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Build:
    def make(**how: object) -> Home:
        made = HOMES[request.param](request, tmp_path, **how)
        made.write("ada", "README.md", "# hello\n")
        return made

    return make


@pytest.fixture
def home(build: Build) -> Home:
    """With one commit on main."""
    return build()


def needs(home: Home, what: str) -> None:
    """Skip a test of what the forge has not."""
    if what in home.lacks:
        pytest.skip(f"{home.settings().forge} has no {what}")
