from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from gitml.errors import InconclusiveError
from gitml.pipelines.venv import StageEnvironment, current_environment, environments_folder, find_python, stages_run_in

OURS = "{}.{}".format(*sys.version_info)


def test_our_own_python_needs_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_python(OURS) == Path(sys.executable)


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other, right = (tmp_path / name for name in ("broken", "other", "right"))
    for folder, body in ((broken, "exit 127"), (other, "echo 3.98.1"), (right, "echo 3.99.2")):
        folder.mkdir()
        (folder / "python3.99").write_text(f"#!/bin/sh\n{body}\n")
        (folder / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, (broken, other))))
    with pytest.raises(InconclusiveError, match=r"there is no python3\.99 here"):
        find_python("3.99")
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, (broken, other, right))))
    assert find_python("3.99") == right / "python3.99"


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert environments_folder() == Path.home() / ".cache" / "gitml" / "environments"


def test_the_callers_packages_stay_out_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    with stages_run_in(current_environment(), isolated=True):
        assert "PYTHONPATH" not in os.environ
        assert os.environ["VIRTUAL_ENV"] == str(Path(sys.executable).parent.parent)
    assert os.environ["PYTHONPATH"] == "/somewhere"
    assert "VIRTUAL_ENV" not in os.environ
    with stages_run_in(current_environment(), isolated=False):
        assert os.environ["PYTHONPATH"] == "/somewhere"


def test_a_stage_finds_gitml_whatever_its_own_packages_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    with stages_run_in(StageEnvironment(tmp_path / "bin/python", OURS), isolated=True):
        assert shutil.which("gitml") == str(Path(sys.executable).parent / "gitml")
