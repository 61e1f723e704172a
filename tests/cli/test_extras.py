"""Each extra alone, and none: a command that needs another one says which, and no import is a bug of gitml's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest

from gitml.cli.extras import MODULES, not_installed

ROOT = Path(__file__).parents[2]
_RUN = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))
from gitml.cli.main import main
main({words!r})
"""


def gitml(words: Iterable[str], absent: Iterable[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a Python that has none of the modules ``absent``."""
    code = _RUN.format(absent=list(absent), words=list(words))
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)


def without(*extras: str) -> list[str]:
    """The modules of all extras but these."""
    return [m for extra, modules in MODULES.items() if extra not in extras for m in modules]


CALLS = {
    "serve": "serve delay@latest",
    "agent": "agent production --remote https://forge.example/o/r.git",
    "score": "score delay@latest --input a.csv --output b",
    "monitor": "monitor",
    "traffic": "traffic delay --since 2026-01-01",
    "labels": "labels add delay a.csv",
    "events": "events add a.csv",
    "reference": "reference delay --features a.parquet",
    "outliers": "outliers delay --features a.parquet",
}
TABLES = ("score", "monitor", "traffic", "labels", "events", "reference", "outliers")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "gitml.yaml").write_text("application: a\nmodels: {delay: {artifact: m.onnx, metrics: m.json}}\n")
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).write_text("request_id,label\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("command", CALLS)
def test_a_command_without_its_extra_says_what_to_install(command: str, repository: Path) -> None:
    done = gitml(CALLS[command].split(), without("report", "onnx", "sandbox"), repository)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.endswith("pip install 'gitml[serve]'\n")


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["", *MODULES])
def test_with_one_extra_alone_all_that_needs_none_works(extra: str, repository: Path) -> None:
    done = gitml(["check", "--json"], without(extra), repository)
    assert done.returncode in (0, 2), done.stderr
    assert "dvc.yaml" in done.stdout + done.stderr


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("extra", ["", *(name for name in MODULES if name != "sandbox")])
def test_an_environment_with_one_extra_and_nothing_else(extra: str, repository: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, tmp_path / "venv"], check=True)
    wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
    subprocess.run(["uv", "pip", "install", "-q", "-p", python, "-e", wanted], check=True, timeout=900)
    brought = [m for m in MODULES.get(extra, ()) if m != "joblib"]
    subprocess.run([python, "-c", "".join(f"import {m}\n" for m in brought)], check=True, timeout=300)
    for command in (
        "check --json",
        *CALLS.values(),
        "site build --out pages",
        "stream a@b --from kafka://x/y --to kafka://x/z",
    ):
        words = [python, "-m", "gitml", *command.split()]
        done = subprocess.run(words, cwd=repository, capture_output=True, text=True, timeout=300)
        assert done.returncode in (0, 1, 2, 3, 4), (command, done.stderr)
        needs = "site" if "site" in command else "stream" if "stream" in command else "serve"
        named = (
            done.stderr.rpartition("pip install 'gitml[")[2].removesuffix("]'\n")
            if "not installed" in done.stderr
            else ""
        )
        has = {extra, "serve"} if extra == "stream" else {extra}
        if extra == "kpi" and not named and needs == "serve" and "check" not in command:
            # What tables need comes with it: such a command gets as far as an error of its own.
            assert command.split()[0] in TABLES, (command, done.stderr)
            assert re.search("^error: .+\n  .+", done.stderr, re.M), (command, done.stderr)
            continue
        assert named == "" if "check" in command or needs in has else named in {needs, "serve"}, (command, done.stderr)


def test_the_sandbox_is_named_where_it_is_not_there(repository: Path) -> None:
    done = gitml(["sandbox", "--help"], without("serve"), repository)
    assert (done.returncode, done.stderr.splitlines()[-1].strip()) == (2, "pip install 'gitml[sandbox]'")


def test_every_extra_of_the_package_is_known() -> None:
    declared = {line.rpartition("extra == ")[2].strip("'\" ") for line in requires("gitml") or () if "extra ==" in line}
    assert declared == set(MODULES)


def test_a_module_of_no_extra_is_still_a_bug() -> None:
    assert not_installed(ModuleNotFoundError("No module named 'gitml.x'", name="gitml.x")) is None
    assert not_installed(ModuleNotFoundError("No module named 'torch'", name="torch.nn")) is not None
