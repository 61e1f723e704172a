"""The project's own workflow: what the two linters of GitHub workflows find, and what they would have found."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)+$")


def lint(tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which(tool, path=str(Path(sys.executable).parent))
    assert command, f"{tool} is not installed beside this Python"
    return subprocess.run([command, *words], capture_output=True, text=True, check=False, timeout=60)


def actionlint(path: Path) -> subprocess.CompletedProcess[str]:
    # shellcheck and pyflakes, where a machine happens to have them, are left out: the same answer everywhere.
    return lint("actionlint", "-shellcheck=", "-pyflakes=", str(path))


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    return lint("zizmor", "--offline", "--no-progress", "--no-config", "--color=never", str(path))


def broken(tmp_path: Path, old: str, new: str) -> Path:
    """The project's workflow with one thing made worse."""
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / ".github" / "workflows" / "ci.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_there_is_a_workflow() -> None:
    assert WORKFLOWS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_neither_linter_finds_anything(path: Path) -> None:
    for done in (actionlint(path), zizmor(path)):
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    used = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if " uses: " in line]
    assert used or path.name == "gitml-review.yml", "the listener uses none"
    assert [line for line in used if not PINNED.match(line)] == []


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("runs-on: ubuntu-latest", "runs-on: ubuntu-newest", "runner-label"),
        ("matrix.python }}", "matrix.pyhton }}", "expression"),
        ("    timeout-minutes: 45\n", "    timeout-minute: 45\n", "syntax-check"),
    ],
)
def test_actionlint_refuses_what_is_wrong(tmp_path: Path, old: str, new: str, rule: str) -> None:
    done = actionlint(broken(tmp_path, old, new))
    assert done.returncode == 1
    assert f"[{rule}]" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7.0.1", "unpinned-uses"),
        ("          persist-credentials: false\n", "", "artipacked"),
        ("  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        ("    permissions:\n      contents: read\n", "    permissions: write-all\n", "excessive-permissions"),
        ("run: .ci/run", "run: echo ${{ github.event.pull_request.title }}", "template-injection"),
    ],
)
def test_zizmor_refuses_what_is_dangerous(tmp_path: Path, old: str, new: str, rule: str) -> None:
    done = zizmor(broken(tmp_path, old, new))
    assert done.returncode != 0
    assert rule in done.stdout


def test_the_nightly_workflow_runs_the_tests_that_make_test_leaves_out() -> None:
    assert "run: make test-all\n" in (ROOT / ".github/workflows/nightly.yml").read_text(encoding="utf-8")
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\ntest-all: test test-nightly\n" in made
    assert '$(PYTEST) -m "nightly or hypothesis"\n' in made


def test_the_workflow_runs_what_a_person_runs() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "run: .ci/run\n" in text
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"make check", "make docs", "make test"} <= set(script)
