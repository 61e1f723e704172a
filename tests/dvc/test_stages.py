"""What is done with lock entries that are old: of stages that are gone, or of DVC 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import dvc, git, write
from gitml.dvc.repository import Dvc
from gitml.errors import FailedError, SpecError, UsageError

STAGE = "stages:\n  fit:\n    cmd: 'true'\n    deps: [data]\n    outs: [m]\n"
MD5 = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, {"dvc.yaml": STAGE, "data": "1\n", "sub/dvc.yaml": STAGE.replace("data", "../data")})
    git(tmp_path, "init", "-q", "-b", "main")
    dvc(tmp_path, "init")
    return tmp_path


def entry(name: str, more: str = "") -> str:
    return f"  {name}:\n    cmd: 'true'\n    outs:\n    - path: m\n      md5: {MD5}\n      size: 1\n{more}"


def test_entries_of_stages_that_are_gone_go(root: Path) -> None:
    """After a rename, in each dvc.lock; what stays is not touched."""
    kept = "schema: '2.0'\nstages:\n" + entry("fit", "      hash: md5\n")
    write(root, {"dvc.lock": kept + entry("train"), "sub/dvc.lock": kept + entry("train")})
    with Dvc(root) as repo:
        repo.forget_gone()
    assert [(root / file).read_text() for file in ("dvc.lock", "sub/dvc.lock")] == [kept, kept]
    before = (root / "dvc.lock").stat().st_mtime_ns
    with Dvc(root) as repo:
        repo.forget_gone()
    assert (root / "dvc.lock").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("files", "file", "way"),
    [
        ({"dvc.lock": "schema: '2.0'\nstages:\n" + entry("fit")}, "dvc.lock", "dvc cache migrate --dvc-files"),
        ({"data.dvc": f"outs:\n- md5: {MD5}\n  path: data\n"}, "data.dvc", "dvc remove data.dvc && dvc add data"),
    ],
)
def test_digests_of_dvc_2_are_refused_before_anything_runs(
    root: Path, files: dict[str, str], file: str, way: str
) -> None:
    write(root, files)
    with Dvc(root) as repo, pytest.raises(SpecError) as caught:
        repo.lineage(["fit"])
    (found,) = caught.value.problems
    assert found.file == file
    assert way in found.hint


def test_what_dvc_says_of_files_that_are_not_there(root: Path) -> None:
    with Dvc(root) as repo, pytest.raises(FailedError, match=r"'m' does not exist: the command ended well"):
        repo.run("fit")
    (root / "data").unlink()
    with Dvc(root) as repo, pytest.raises(UsageError, match="'data' does not exist"):
        repo.inputs("fit")
    (root / "data").mkdir()
    (root / "data/gone").symlink_to("nowhere")
    with Dvc(root) as repo, pytest.raises(UsageError, match="data/gone is a symbolic link to nothing: nowhere"):
        repo.inputs("fit")
