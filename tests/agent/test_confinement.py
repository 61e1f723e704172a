"""What a server's process is given, and what it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gitml
from gitml.agent.calls import CallMarks, new_marks
from gitml.agent.confinement import Confinement, User, may_read, user_named
from gitml.agent.state import owned
from gitml.errors import UsageError
from gitml.process import environment, places_of_python


def test_it_is_given_the_models_its_folder_and_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "traffic")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    local = Confinement(tmp_path / "cache", tmp_path / "server", str(tmp_path / "log"))
    place = local.place(3, 4, 5)
    assert str(tmp_path / "cache") in place.reads
    assert set(place.writes) == {"/dev/null", str(tmp_path / "server"), str(tmp_path / "log")}
    assert not place.connects
    assert set(local.environment()) - {"GITML_CLOCK"} == {"PATH", "HOME", "TMPDIR"}
    away = Confinement(
        tmp_path / "cache", tmp_path / "server", "s3://b/log", str(tmp_path / "spool"), variables=("AWS_PROFILE",)
    )
    place = away.place(3, 4, None)
    assert (place.connects, str(tmp_path / "spool") in place.writes) == (True, True)
    assert away.environment()["AWS_PROFILE"] == "traffic"
    away.prepare()
    assert (tmp_path / "spool").is_dir()


def test_a_state_folder_shows_another_user_the_models_alone(tmp_path: Path) -> None:
    with owned(tmp_path / "state", shared=True):
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir() if path.is_dir()}
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o711
        assert modes == dict.fromkeys(("mirror.git", "outbox", "pins", "dvc"), 0o700)
    with owned(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_whose_process_it_is(tmp_path: Path) -> None:
    assert user_named("") is None
    with pytest.raises(UsageError, match="no user nosuchuser"):
        user_named("nosuchuser")
    with pytest.raises(UsageError, match=r"not to be root's|only root may"):
        user_named("root")
    key = tmp_path / "key"
    key.write_text("key")
    other, owner = User("other", 4_000_000, 4_000_000), User("owner", key.stat().st_uid, 4_000_000)
    for mode, readers in ((0o600, (False, True)), (0o604, (True, True)), (0o204, (True, False))):
        os.chmod(key, mode)
        assert (may_read(key, other), may_read(key, owner)) == readers


@pytest.mark.parametrize("name", ["GITML_SIGNING_KEY", "GITML_LOOKS_KEY"])
def test_what_gitml_starts_has_no_key(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "key")
    assert name not in environment()


def test_the_folder_that_python_m_was_called_in_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m gitml agent` puts the working directory, where a key may lie, before all other places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) not in Confinement(tmp_path / "cache", tmp_path / "server").place(3, 4, 5).reads
    assert str(tmp_path) not in places_of_python()
    monkeypatch.chdir(Path(gitml.__file__).parents[1])
    assert os.getcwd() in places_of_python(), "where gitml itself comes from"


def test_nobody_takes_the_marks_away_from_who_reads_them() -> None:
    """Reading a part of shared memory that is gone ends a process: the one that has the keys."""
    number = new_marks()
    with pytest.raises(PermissionError):
        os.ftruncate(number, 0)
    assert CallMarks(number).called() == frozenset()
    os.close(number)
