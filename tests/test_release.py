"""What a release is made of: one version, addresses that lead somewhere, and packages that install in a clean place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import gitml_sandbox
from ci.linters import PINNED, actionlint, zizmor
from gitml import __version__

ROOT = Path(__file__).parents[1]
DIST = Path(os.environ.get("GITML_DIST", ROOT / "dist"))
BUILT = pytest.mark.skipif(not DIST.is_dir(), reason="make test-release")


def test_both_distributions_have_one_version() -> None:
    assert gitml_sandbox.__version__ == __version__


def test_metadata_names_no_address_and_shows_text_that_needs_none() -> None:
    """There is no public home to name, and a package index turns links of a repository into dead ends."""
    for folder in (ROOT, ROOT / "packages" / "gitml-sandbox"):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert "urls" not in project
        text = (folder / project["readme"]).read_text()
        links = re.findall(r"\]\(([^)]*)\)|<img[^>]*src=\"([^\"]*)", text)
        assert [link for link in links if not link[0].startswith("https://")] == []


def test_the_workflows_of_this_project_are_as_strict_as_rendered_ones() -> None:
    paths = [ROOT / ".github" / "workflows" / f"{name}.yml" for name in ("ci", "nightly", "release")]
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
    for path in paths:
        uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
        assert [line for line in uses if not PINNED.fullmatch(line)] == []


def packages(suffix: str) -> dict[str, Path]:
    return {path.name.partition("-")[0]: path for path in DIST.glob(f"*{suffix}")}


@pytest.mark.release
@pytest.mark.nightly
@BUILT
def test_what_was_built_has_the_version_of_the_tag_and_all_that_it_needs() -> None:
    assert os.environ.get("TAG", f"v{__version__}") == f"v{__version__}"
    wheels, archives = packages(".whl"), packages(".tar.gz")
    assert set(wheels) == set(archives) == {"gitml", "gitml_sandbox"}
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as opened:
            (name,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
            told = Parser().parsestr(opened.read(name).decode())
            files = set(opened.namelist())
        assert (told["Version"], told["License-Expression"]) == (__version__, "Apache-2.0")
        assert told.get_all("Project-URL") is None
        assert any(name.endswith("py.typed") for name in files)
        assert not [name for name in files if re.search(r"(^|/)(tests|\.env|\.venv|__pycache__)/|\.pyc$", name)]
    with tarfile.open(archives["gitml"]) as opened:
        names = [name.partition("/")[2] for name in opened.getnames()]
    assert not [name for name in names if re.match(r"\.venv|dist/|.*\.pyc$|\.dvc/(tmp|cache)", name)]


@pytest.mark.release
@pytest.mark.nightly
@BUILT
@pytest.mark.timeout(600)
def test_the_wheels_install_together_in_a_clean_environment(tmp_path: Path) -> None:
    wheels, python = packages(".whl"), tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, tmp_path / "venv"], check=True)
    install = ["uv", "pip", "install", "-q", "-p", python, "-c", ROOT / "constraints" / "ci.txt", "--find-links", DIST]
    subprocess.run([*install, f"gitml[sandbox,site] @ {wheels['gitml'].as_uri()}"], check=True)
    subprocess.run(["uv", "pip", "check", "-q", "-p", python], check=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT", "PYTHON", "VIRTUAL"))}

    def call(*words: str, folder: Path = tmp_path) -> str:
        command = [str(tmp_path / "venv" / "bin" / words[0]), *words[1:]]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=250)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert __version__ in call("gitml", "--version")
    assert "sandbox" in call("gitml", "sandbox", "--help").lower()
    call("gitml", "init", "flights")
    assert "no problem" in call("gitml", "check", folder=tmp_path / "flights")
    for system in ("github", "gitlab", "jenkins", "airflow"):
        assert "created" in call("gitml", "ci", "render", "--for", system, folder=tmp_path / "flights")
    for library in ("gitml", "gitml_sandbox"):
        where = call("python", "-c", f"import {library}; print({library}.__file__)")
        assert str(tmp_path / "venv") in where
