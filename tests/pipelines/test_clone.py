"""What one clone has otherwise than others."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import commit, git, write
from gitml.errors import UsageError
from gitml.pipelines.clone import cautions, refuse_sparse, sparse_problems
from gitml.spec.dvcfiles import load_pipeline

STAGE = "stages:\n  train:\n    cmd: x\n    deps: [src, raw]\n    outs: [src/made]\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    write(root, {"dvc.yaml": STAGE, "src/a.py": "one\ntwo\n", "raw.dvc": "", "models/m/versions/v.json": "{}"})
    write(root, {".gitignore": "/raw\n/src/made\n*.tmp\n__pycache__/\n", "gitml.yaml": "a: 1\n"})
    git(root, "init", "-q", "-b", "main")
    commit(root, "start")
    return root


def said(root: Path) -> list[tuple[str, str]]:
    return [(caution.file, caution.message) for caution in cautions(root, load_pipeline(root))]


def test_other_line_endings(source: Path, tmp_path: Path) -> None:
    assert said(source) == []
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(source), "clone")
    ((file, message),) = said(tmp_path / "clone")
    assert (file, message.partition(":")[0]) == ("src/a.py", "has CRLF here and LF in Git")
    write(source, {".gitattributes": "* text=auto eol=lf\n"})
    commit(source, "as the template does")
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(source), "again")
    assert said(tmp_path / "again") == []
    assert (tmp_path / "again/src/a.py").read_bytes() == b"one\ntwo\n"


def test_files_that_count_and_are_in_no_other_clone(source: Path) -> None:
    write(source, {"src/__pycache__/a.pyc": "", "src/made/x.tmp": "", "raw/y.tmp": "", "other.tmp": ""})
    assert said(source) == []
    write(source, {"src/z.tmp": ""})
    ((file, message),) = said(source)
    assert file == "src/z.tmp"
    assert "Git ignores it" in message


def test_a_sparse_checkout_without_records(source: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--sparse", str(source), "clone")
    root = tmp_path / "clone"
    git(root, "sparse-checkout", "set", "--no-cone", "/*", "!/models/")
    assert not (root / "models").exists()
    with pytest.raises(UsageError, match=r"sparse checkout without models/m/versions/v\.json") as caught:
        refuse_sparse(root)
    assert caught.value.hint == "git sparse-checkout add models/m/versions"
    assert [problem.file for problem in sparse_problems(root)] == ["models/m/versions/v.json"]
    git(root, "sparse-checkout", "set", "--no-cone", "/*", "!/.gitignore")
    refuse_sparse(root)
    refuse_sparse(source)


def test_a_sparse_checkout_with_a_part_of_a_folder_that_a_stage_reads(source: Path) -> None:
    write(source, {"src/b.py": "", "srcs/c.py": ""})
    commit(source, "more")
    git(source, "sparse-checkout", "set", "--no-cone", "/*", "!/src/b.py", "!/srcs/")
    with pytest.raises(UsageError, match=r"sparse checkout without src/b\.py: what stages read is not all here"):
        refuse_sparse(source)
    assert [problem.file for problem in sparse_problems(source)] == ["src/b.py"]
