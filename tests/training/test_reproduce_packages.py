"""Reproductions in the recorded environment: built once, kept, refused when it is not the recorded one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from conftest import TOY
from reproducing import edit, reproduce, start

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

# The stages need PyYAML alone: an environment that is built in seconds.
LOCK = f"pyyaml=={version('pyyaml')}\n"
LOCKED = {
    **TOY,
    "requirements.lock": LOCK,
    "gitml.yaml": TOY["gitml.yaml"].replace("    artifact:", "    packages: requirements.lock\n    artifact:"),
    "dvc.yaml": TOY["dvc.yaml"].replace(".py]", ".py, requirements.lock]"),
    # Which packages the stage saw: the environment of the tests has pytest, the recorded one has not.
    "train.py": TOY["train.py"]
    + "import importlib.util\nprint('pytest:', importlib.util.find_spec('pytest') is not None)\n",
}


@pytest.fixture(scope="module")
def locked_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("locked") / "app", LOCKED)


@pytest.fixture
def locked(locked_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(locked_template, tmp_path / "app", symlinks=True))


def test_a_real_environment(locked: Path, tmp_path: Path) -> None:
    """Built by two at once, used by both; broken, it is built again."""
    cache = tmp_path / "cache"
    words = [sys.executable, "-m", "gitml", "reproduce", "m", "--keep", "--json"]
    env = {"XDG_CACHE_HOME": str(cache), "TMPDIR": str(tmp_path)}
    first = subprocess.Popen(words, cwd=locked, env={**os.environ, **env}, stdout=subprocess.PIPE)
    second = reproduce(locked, environment="recorded", PYTHONPATH=str(locked), **env)
    found = json.loads(first.communicate(timeout=200)[0])
    for each in (found, second):
        assert each["measurements"]["level"] == "byte-identical", each["reason"]
        assert each["measurements"]["environment"] == "recorded"
        assert each["measurements"]["unlocked_packages"] == []
    assert "pytest: False" in (Path(found["kept"]) / "logs" / "train.log").read_text()
    (folder,) = (p for p in (cache / "gitml" / "environments").iterdir() if p.is_dir())
    built = (folder / "gitml-complete.json").stat().st_mtime_ns
    assert reproduce(locked, environment="recorded", **env)["phase"] == "successful"
    assert (folder / "gitml-complete.json").stat().st_mtime_ns == built
    (folder / "gitml-complete.json").unlink()
    (folder / "bin" / "python").unlink()
    assert reproduce(locked, environment="recorded", **env)["phase"] == "successful"


def test_an_index_that_cannot_be_reached(locked: Path, tmp_path: Path) -> None:
    dead = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    found = reproduce(locked, environment="recorded", XDG_CACHE_HOME=str(tmp_path / "cache"), **dead)
    assert found["phase"] == "inconclusive"
    assert "the packages of requirements.lock cannot be installed" in found["reason"]
    assert "is the package index reachable?" in found["reason"]


def test_a_python_that_is_not_here(locked: Path) -> None:
    edit(locked, lambda data: data["packages"].update(python="3.4.1"))
    found = reproduce(locked, environment="recorded")
    assert found["phase"] == "inconclusive"
    assert "it was trained with Python 3.4, and there is no python3.4 here" in found["reason"]


def test_other_packages_than_recorded(locked: Path) -> None:
    edit(locked, lambda data: data["packages"].update(sha256="0" * 64))
    found = reproduce(locked, environment="recorded")
    assert found["phase"] == "inconclusive"
    assert "requirements.lock in the commit has SHA-256" in found["reason"]


def test_a_lock_file_that_the_commit_lacks(locked: Path) -> None:
    edit(locked, lambda data: data["packages"].update(path="other.lock"))
    found = reproduce(locked, environment="recorded")
    assert found["phase"] == "inconclusive"
    assert "the commit does not have other.lock" in found["reason"]


def test_a_lock_file_that_leads_out_of_the_repository(locked: Path) -> None:
    edit(locked, lambda data: data["packages"].update(path="../../../etc/hostname"))
    found = reproduce(locked, environment="recorded")
    assert found["phase"] == "inconclusive"


def test_without_recorded_packages(trained: Path) -> None:
    found = reproduce(trained, environment="recorded")
    assert found["phase"] == "inconclusive"
    assert "--environment current" in found["reason"]
