"""Conflicts in files that runs write, after a merge or a rebase that stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import commit, git, write
from gitml.errors import SpecError, UsageError
from gitml.project.resolve import resolve
from gitml.spec.dvcfiles import load_locks

STAGES = (
    "stages:\n  train:\n    cmd: x\n    outs: [m.onnx]\n    metrics: [out: {cache: false}, m.json: {cache: false}]\n"
)
LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n    - path: m.onnx\n      md5: '{}'\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two branches that trained: each with a lock, metrics and code of its own."""
    root = tmp_path_factory.mktemp("split")
    write(
        root, {"dvc.yaml": STAGES, "code.py": "0\n", "dvc.lock": LOCK.format("0" * 32), "m.json": "0\n", "out/a": "0\n"}
    )
    git(root, "init", "-q", "-b", "main")
    commit(root, "start")
    for branch, digit in (("work", "1"), ("main", "2")):
        git(root, "checkout", "-q", *(["-b"] if branch == "work" else []), branch)
        write(root, {"dvc.lock": LOCK.format(digit * 32), "m.json": f"{digit}\n", "out/a": f"{digit}\n"})
        write(root, {"code.py": f"{digit}\n"})
        commit(root, f"train {branch}")
    git(root, "checkout", "-q", "work")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "app"))


def contents(root: Path) -> list[str]:
    return [(root / name).read_text().strip() for name in ("m.json", "out/a")]


@pytest.mark.parametrize("how", ["merge", "rebase"])
def test_main_s_files_stand_and_code_is_left_to_people(root: Path, how: str) -> None:
    git(root, how, "main", check=False)
    with pytest.raises(SpecError, match="unfinished merge") as caught:
        load_locks(root)
    assert "`gitml resolve`" in caught.value.problems[0].hint
    done = resolve(root)
    assert (done.taken, done.left, done.rebase) == (("dvc.lock", "m.json", "out/a"), ("code.py",), how == "rebase")
    assert contents(root) == ["2", "2"]
    assert load_locks(root)["train"].entry.outs[0].md5 == "2" * 32
    assert git(root, "diff", "--name-only", "--diff-filter=U") == "code.py"


def test_a_branch_that_is_merged_into_main_gives_way_too(root: Path) -> None:
    git(root, "checkout", "-q", "main")
    git(root, "merge", "work", check=False)
    resolve(root)
    assert contents(root) == ["2", "2"]


def test_what_main_no_longer_has_goes(root: Path) -> None:
    git(root, "checkout", "-q", "main")
    git(root, "rm", "-q", "out/a")
    git(root, "commit", "-qm", "without")
    git(root, "checkout", "-q", "work")
    git(root, "merge", "main", check=False)
    assert "out/a" in resolve(root).taken
    assert not (root / "out/a").exists()


def test_without_a_conflict_and_with_one_in_the_pipeline_itself(root: Path) -> None:
    with pytest.raises(UsageError, match="no file is in conflict"):
        resolve(root)
    for branch in ("work", "main"):
        git(root, "checkout", "-q", branch)
        write(root, {"dvc.yaml": STAGES.replace("cmd: x", f"cmd: {branch}")})
        commit(root, "pipeline")
    git(root, "merge", "work", check=False)
    with pytest.raises(UsageError, match=r"dvc\.yaml is in conflict"):
        resolve(root)
