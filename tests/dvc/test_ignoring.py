"""What tools leave beside code is no part of it: bytecode differs in each clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import dvc, git, write
from gitml.dvc.repository import Dvc
from gitml.spec.leftovers import PATTERNS

LEFT = {
    "src/__pycache__/run.cpython-311.pyc": "bytecode",
    "src/deep/__pycache__/x.pyc": "bytecode",
    "src/old.pyc": "bytecode",
    "src/.ipynb_checkpoints/run-checkpoint.py": "print(0)",
    "src/.DS_Store": "",
}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    stage = "stages:\n  train:\n    cmd: python -m src.run\n    deps: [src]\n    outs: [made]\n"
    write(tmp_path, {"dvc.yaml": stage, "src/run.py": "print(1)\n", "src/deep/x.py": ""})
    git(tmp_path, "init", "-q", "-b", "main")
    dvc(tmp_path, "init")
    return tmp_path


def digest(root: Path) -> str:
    with Dvc(root) as found:
        return found.inputs("train").deps[0].digest


def test_leftovers_are_no_part_of_a_folder_that_a_stage_reads(repo: Path) -> None:
    before = digest(repo)
    write(repo, LEFT)
    assert digest(repo) == before
    write(repo, {"src/run.py": "print(2)\n"})
    assert digest(repo) != before


def test_the_patterns_of_the_template_say_the_same_to_dvc(repo: Path) -> None:
    write(repo, LEFT)
    ours = digest(repo)
    write(repo, {".dvcignore": "\n".join(PATTERNS)})
    assert digest(repo) == ours


def test_an_output_is_kept_as_the_stage_wrote_it(repo: Path) -> None:
    """A package that a stage builds may hold bytecode: it is restored whole."""
    command = "mkdir -p made/__pycache__ && echo 1 > made/__pycache__/a.pyc && echo 2 > made/a.txt"
    write(repo, {"dvc.yaml": f"stages:\n  train:\n    cmd: {command}\n    outs: [made]\n"})
    with Dvc(repo) as found:
        found.run("train")
        entry = found.entry("train")
    assert entry
    assert entry.outs[0].files == 2
