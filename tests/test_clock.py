"""The one clock: what follows a turn, and where turning it is refused."""

from __future__ import annotations

import importlib
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import git, gitml
from gitml import clock
from gitml.errors import UsageError
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_file
from gitml.git.orphan import Addition, Remote, add
from gitml.registry.store import next_time


@pytest.fixture
def turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the clock follows."""
    path = tmp_path / "clock"
    path.write_text("0s")
    monkeypatch.setenv(clock.VARIABLE, str(path))
    return path


@pytest.fixture
def clone(toy: Path) -> Path:
    return toy


@pytest.mark.parametrize(("said", "seconds"), [("0s", 0), ("90m", 5400), ("14d\n", 14 * 86_400), ("2w", 14 * 86_400)])
def test_each_turn_is_seen_and_the_machine_stays(turned: Path, said: str, seconds: int) -> None:
    before = clock.now()
    turned.write_text(said)
    assert timedelta(seconds=seconds) <= clock.now() - before < timedelta(seconds=seconds + 60)
    assert clock.timestamp() - clock.machine() == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize("said", ["", "-3d", "3 days", "1e9s", "9999999999d", "٣d"])
def test_what_is_no_amount_is_refused(turned: Path, said: str) -> None:
    turned.write_text(said)
    with pytest.raises(UsageError, match="holds no amount of time"):
        clock.now()


def test_a_file_that_is_not_there_is_refused(turned: Path) -> None:
    turned.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        clock.now()


def test_commits_and_records_follow(turned: Path, clone: Path, tmp_path: Path) -> None:
    turned.write_text("30d")
    git(clone, "init", "-q", "--bare", str(tmp_path / "remote"))
    add(Remote(str(tmp_path / "remote")), Addition("notes", {"a": b"1"}, "note"))
    edited = commit_file(Git(clone), git(clone, "rev-parse", "HEAD"), "f", b"x", "edit", Who("Ada", "ada@example.com"))
    times = [*git(clone, "show", "-s", "--format=%at %ct", edited).split()]
    times += git(tmp_path / "remote", "show", "-s", "--format=%at %ct", "notes").split()
    assert [int(t) for t in times] == [pytest.approx(clock.timestamp(), abs=60)] * 4
    assert next_time(clone, "m")[:10].replace("-", "") == f"{clock.now():%Y%m%d}"


ELSEWHERE = [
    "https://github.com/ada/app",
    "git@example.com:ada/app.git",
    "http://127.0.0.1.example.com/a/b",
    "ext::sh -c",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_turned_clock_is_refused_off_loopback(turned: Path, clone: Path, url: str) -> None:
    git(clone, "remote", "add", "origin", "http://127.0.0.1:1/ada/app.git")
    assert gitml(clone, "models").code == 0
    git(clone, "remote", "add", "other", url)
    done = gitml(clone, "models")
    assert done.code == 2
    assert "is not on this machine" in done.err
    turned.unlink()
    assert gitml(clone, "models", env={clock.VARIABLE: ""}).code == 0


def test_what_a_remote_is_pushed_to_counts_and_passwords_are_not_shown(turned: Path, clone: Path) -> None:
    git(clone, "remote", "add", "origin", "http://127.0.0.1:1/ada/app.git")
    git(clone, "remote", "set-url", "--push", "origin", "https://x:secret@example.com/ada/app.git")
    done = gitml(clone, "models")
    assert done.code == 2
    assert "example.com" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize(
    "env",
    [{"GITHUB_API_URL": "https://api.github.com"}, {"GITHUB_REPOSITORY": "ada/app"}],
)
def test_the_forge_of_the_environment_counts(turned: Path, clone: Path, env: dict[str, str]) -> None:
    done = gitml(clone, "models", env=env)
    assert done.code == 2
    assert "is not on this machine" in done.err


def test_an_agent_refuses_too(turned: Path, tmp_path: Path) -> None:
    words = ["agent", "production", "--from", "https://example.com/ada/app.git", "--state", str(tmp_path / "state")]
    done = gitml(tmp_path, *words, "--once")
    assert done.code == 2
    assert "example.com/ada/app.git is not on this machine" in done.err
    assert not (tmp_path / "state").exists()


def test_the_demo_turns_a_clock_that_commands_jobs_and_agents_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "demo"))
    box, demo = importlib.import_module("box"), importlib.import_module("clock")
    for name in ("CLOCK", "SERVER_CLOCK"):
        monkeypatch.setattr(box, name, tmp_path / "demo" / name)
        monkeypatch.setattr(demo, name, tmp_path / "demo" / name)
    with pytest.raises(box.StepError, match="make demo"):
        demo.turn(7)
    demo.begin()
    for days in (7, 14):
        demo.turn(days)
    monkeypatch.setenv(clock.VARIABLE, box.environment()[clock.VARIABLE])
    assert clock.ahead() == 21 * 86_400
    later = demo.now() + timedelta(hours=5)
    demo.turn_server(later)
    assert clock.ahead() == 21 * 86_400, "the forge does not follow from hour to hour"
    demo.turn_server(later - timedelta(days=1))
    demo.follow_server()
    assert abs((clock.now() - later).total_seconds()) < 2
