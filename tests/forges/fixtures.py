"""A sandbox, a bad network before it, and what tests put in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forges.chaos_kit import Chaos, chaos_before
from forges.gitlab_standin import Standin, standing
from gitml_sandbox.forge import comments, issues, repos
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.rest_kit import close_clients


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """One running sandbox without a runner; each test makes its own repository."""
    root: Path = tmp_path_factory.mktemp("sandbox") / "state"
    with serving(root, Options(port=0, runner=False)) as running:
        yield Kit(running.sandbox, running.address.url, people(running.sandbox))
        close_clients(running.address.url)


@pytest.fixture(scope="session")
def standin() -> Iterator[Standin]:
    """One running stand-in for GitLab; each test puts its own project in."""
    with standing() as running:
        yield running
    assert not running.differences, "GitLab's description says otherwise:\n" + "\n".join(sorted(running.differences))


@pytest.fixture
def chaos(kit: Kit) -> Iterator[Chaos]:
    with chaos_before(kit.url) as running:
        yield running


def many_comments(kit: Kit, repo: str, number: int, count: int, login: str = "olga", text: str = "comment {}") -> None:
    """Comments on a pull request, written at once: one request each would take long."""
    by = Actor(kit.user(login))
    with kit.sandbox.store.write() as tx:
        found = repos.find(tx, *repo.split("/"))
        assert found is not None
        issue = issues.get(tx, found.id, number)["id"]
        for i in range(count):
            comments.add(tx, issue_id=issue, by=by, body=text.format(i), now=kit.sandbox.now())
