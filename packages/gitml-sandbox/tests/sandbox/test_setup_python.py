"""The stand-in for actions/setup-python asks each Python of the machine for its version once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gitml_sandbox.actions import offline_actions

SCRIPT = offline_actions.FOLDER / "setup-python" / "setup_python.py"


def the_step() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_python_step", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shim(folder: Path, name: str, says: str, status: int = 0) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\necho {says}\nexit {status}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(("status", "finds"), [(0, True), (127, False)])
def test_a_shim_is_asked_once_by_all_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, *, finds: bool
) -> None:
    python = shim(tmp_path, "python3.99", "3.99.1", status)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("GITML_SANDBOX_PYTHONS", str(tmp_path / "pythons.json"))
    for _ in range(3):
        assert the_step().find("3.99") == (str(python) if finds else None)
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_what_is_remembered_may_be_broken_or_of_an_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("GITML_SANDBOX_PYTHONS", str(tmp_path / "pythons.json"))
    shim(tmp_path, "python3.99", "3.99.1")
    (tmp_path / "pythons.json").write_text("{")
    assert the_step().find("3.99.2") is None
    python = shim(tmp_path, "python3.99", "3.99.2")
    assert the_step().find("3.99.2") == str(python)
