"""What a writer may do to the ledger, and what of it an agent minds; what a round costs when nothing changed."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from agent.kit import World
from agent.running import start, version
from conftest import git, write
from gitml.agent.source import Mirror
from gitml.git.ledger import BRANCH

OLD = {"GIT_COMMITTER_DATE": "1970-01-02T00:00:00Z", "GIT_AUTHOR_DATE": "1970-01-02T00:00:00Z"}


def by_hand(
    world: World, script: str, branch: str = BRANCH, dates: dict[str, str] | None = None, times: int = 1
) -> None:
    """Ordinary pushes by a writer: ``script`` changes files."""
    folder = world.folder / "hand"
    if not folder.exists():
        git(world.folder, "clone", "-q", str(world.forge), str(folder))
    who = "git -c user.name=eve -c user.email=eve@example.org"
    words = f"git fetch -q origin; git checkout -q -f origin/{branch}; {script}; git add -A;"
    words += (
        f"for n in $(seq {times}); do {who} commit -q --allow-empty -m tidy; done; git push -q origin HEAD:{branch}"
    )
    subprocess.run(["sh", "-ec", words], cwd=folder, env={**os.environ, **(dates or {})}, check=True)


def merged_and_shut(world: World) -> str:
    """A promotion that was approved, and whose gate passed and then shut; the shut gate's name."""
    change = world.merge(yaml.safe_dump(world.desired(version(world, 2.0))))
    times = [f"{datetime.now(UTC) - timedelta(seconds=9 - n):%Y-%m-%dT%H:%M:%SZ}" for n in range(3)]
    world.say("gate", change, time=times[0])
    shut = world.say("gate", change, time=times[1], result="failed")
    world.say("approved", change, time=times[2])
    return shut


@pytest.mark.parametrize("seen", [False, True])
def test_a_deleted_shut_gate_still_shuts(world: World, seen: bool) -> None:
    """For an agent that saw it, and for a new one."""
    running = start(world)
    running.one()
    shut = merged_and_shut(world)
    if seen:
        assert "says failed" in running.one().reason
    by_hand(world, f"git rm -q {shut}")
    assert "says failed" in running.one().reason
    fresh = start(world, folder=world.folder / "fresh")
    assert "says failed" in fresh.one().reason
    assert running.shop.ask("m") == 3.0


def test_ten_commits_of_1970_are_no_rewriting(world: World) -> None:
    running = start(world)
    running.one()
    by_hand(world, "true", dates=OLD, times=10)
    world.promote(version(world, 2.0))
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0
    by_hand(world, "true", branch="main", dates=OLD, times=10)
    git(world.clone, "pull", "-q", "--ff-only", "origin", "main")
    world.promote(version(world, 3.0))
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 9.0


def test_ancestry_comes_from_the_graph(world: World, tmp_path: Path) -> None:
    """Also where a commit-graph was written."""
    first = world.tip
    by_hand(world, "true", branch="main", dates=OLD, times=10)
    mirror = Mirror(tmp_path / "mirror", world.remote, "main")
    mirror.prepare()
    last = mirror.fetch().main
    git(mirror.folder, "commit-graph", "write", "--reachable")
    assert mirror.continues(last, first)
    assert not mirror.continues(first, last)
    assert mirror.is_descendant(last, first)
    assert not mirror.is_descendant(first, last)
    assert mirror.unchanged("gitml.yaml", first, last)


def test_undeclared_deployment_files_are_not_looked_at(world: World) -> None:
    running = start(world)
    running.one()
    text = (world.clone / "models/m/production.yaml").read_text(encoding="utf-8")
    write(world.clone, {f"models/x{n}/production.yaml": text for n in range(600)})
    world.push("600 files")
    running.agent.round()
    assert [view.model for view in running.agent.view.models] == ["m"]


def test_what_was_found_out_is_asked_once(world: World, spawned: list[object]) -> None:
    """While main and the ledger stay, a round starts no Git process but the one that asks the server."""
    running = start(world)
    world.merge(yaml.safe_dump(world.desired(version(world, 2.0))))
    running.agent.round()
    spawned.clear()
    running.agent.round()
    assert "no 'approved' evidence" in running.agent.view.models[0].reason
    assert len(spawned) <= 1
