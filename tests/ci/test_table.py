"""A CI system is found by name; a new one is one module."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from conftest import git, gitml
from gitml.ci import table
from gitml.ci.base import CiSource
from gitml.errors import UsageError
from gitml.project.render import Did, render_workflows


def toy_renderer() -> ModuleType:
    """A CI system of which everything is in this function."""
    module = ModuleType("toy_ci")
    module.PATTERN = ".toy/*.conf"  # type: ignore[attr-defined]
    module.header = lambda folder: f"# toy /{folder}"  # type: ignore[attr-defined]
    module.file_name = lambda application, folder, kind: f"{kind}.conf"  # type: ignore[attr-defined]

    def render(source: CiSource) -> dict[str, str]:
        return {f".toy/{job.name}.conf": f"# toy /{source.folder}\nrun {job.name}\n" for job in source.jobs}

    module.render = render  # type: ignore[attr-defined]
    return module


def test_a_toy_system_is_one_module(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "toy_ci", toy_renderer())
    monkeypatch.setitem(table.RENDERERS, "toy", "toy_ci")
    if not (toy / ".git").exists():
        git(toy, "init", "-q")
    spec = toy / "gitml.yaml"
    spec.write_text(f"{spec.read_text()}\nci:\n  system: toy\n")
    (toy / ".toy").mkdir()
    (toy / ".toy/gone.conf").write_text("# toy /\nof an older gitml\n")
    (toy / ".toy/mine.conf").write_text("written by hand\n")
    done = {file.path: file.change for file in render_workflows(toy)}
    assert done.pop(".toy/gone.conf") is Did.REMOVED
    assert done
    assert set(done.values()) == {Did.CREATED}
    assert (toy / ".toy/mine.conf").exists()
    assert all((toy / path).read_text().startswith("# toy") for path in done)


def test_an_unknown_system_is_named_with_those_that_there_are(toy: Path) -> None:
    with pytest.raises(UsageError, match="called 'bamboo'"):
        table.renderer("bamboo")
    spec = toy / "gitml.yaml"
    spec.write_text(f"{spec.read_text()}\nci:\n  system: bamboo\n")
    done = gitml(toy, "ci", "render")
    assert done.code == 2
    assert "ci.system may be: airflow, github, gitlab, jenkins" in done.err
