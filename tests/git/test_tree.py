"""One view of an application's files, in a work tree, a commit of a clone and a bare mirror."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import commit, git, write
from gitml.errors import OutsideError
from gitml.git.commands import Git
from gitml.git.repository import EXECUTABLE, FILE, FOLDER, LINK, Repository
from gitml.git.tree import CommitTree, Tree, WorkTree

FILES = {
    "app/gitml.yaml": "application: flights\n",
    "app/models/delay/production.yaml": "champion: 1\n",
    "app/models/delay/versions/a.json": "{}\n",
    "app/models/delay/versions/b ü\n.json": "{}\n",
    "other/secret.yaml": "no\n",
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    write(root, FILES)
    os.symlink("gitml.yaml", root / "app/link.yaml")
    write(root, {"app/run.sh": "true\n"})
    (root / "app/run.sh").chmod(0o755)
    commit(root, "Files")
    return root


def work_tree(clone: Path) -> Tree:
    return WorkTree(clone / "app")


def of_clone(clone: Path) -> Tree:
    return Git(clone / "app").at("HEAD")


def of_mirror(clone: Path) -> Tree:
    git(clone.parent, "clone", "-q", "--bare", str(clone), "mirror.git")
    return CommitTree(Repository(clone.parent / "mirror.git"), "refs/heads/main", "app/")


everywhere = pytest.mark.parametrize("open_tree", [work_tree, of_clone, of_mirror])


@everywhere
def test_reads_files_and_nothing_else(clone: Path, open_tree: Callable[[Path], Tree]) -> None:
    tree = open_tree(clone)
    assert tree.read("models/delay/production.yaml") == b"champion: 1\n"
    assert tree.read("models/delay/versions/b ü\n.json") == b"{}\n"
    for path in ("", "models", "models/none.yaml", "gitml.yaml/x", "link.yaml", ":(glob)*.yaml", "--help"):
        assert tree.read(path) is None, path


@everywhere
def test_a_path_never_leads_out_of_the_folder(clone: Path, open_tree: Callable[[Path], Tree]) -> None:
    tree = open_tree(clone)
    for path in (
        "../other/secret.yaml",
        "models/../../other/secret.yaml",
        "/etc/passwd",
        "./gitml.yaml",
        "models//delay",
    ):
        assert tree.read(path) is None
        assert tree.entry(path) is None
        assert tree.entries(path) == ()
        assert list(tree.walk(path)) == []


@everywhere
def test_lists_folders_with_modes(clone: Path, open_tree: Callable[[Path], Tree]) -> None:
    tree = open_tree(clone)
    executable = FILE if isinstance(tree, WorkTree) else EXECUTABLE
    assert [(e.path, e.mode) for e in tree.entries("")] == [
        ("gitml.yaml", FILE),
        ("link.yaml", LINK),
        ("models", FOLDER),
        ("run.sh", executable),
    ]
    assert [e.name for e in tree.entries("models/delay")] == ["production.yaml", "versions"]
    assert tree.entries("models/none") == tree.entries("gitml.yaml") == ()
    assert [e.path for e in tree.walk("models")] == [
        "models/delay/production.yaml",
        "models/delay/versions/a.json",
        "models/delay/versions/b ü\n.json",
    ]
    assert [e.is_file for e in tree.walk()] == [True, False, True, True, True, True]
    link = tree.entry("link.yaml")
    assert link is not None
    assert link.mode == LINK


def test_ids_are_gits_and_tell_same_content(clone: Path) -> None:
    tree = Git(clone / "app").at("HEAD")
    one, other = tree.entries("models/delay/versions")
    assert one.id == other.id == git(clone, "rev-parse", "HEAD:app/models/delay/versions/a.json").strip()
    assert tree.entry("models/delay/versions/a.json") == one


def test_a_commit_that_is_not_here_is_an_empty_tree(clone: Path) -> None:
    tree = Git(clone).at("0123456789" * 4)
    assert tree.read("app/gitml.yaml") is None
    assert tree.entries("") == ()
    assert list(tree.walk()) == []


def test_large_files_are_refused_before_they_are_read(clone: Path) -> None:
    tree = CommitTree(Repository(clone), "HEAD", "app/", largest=10)
    assert tree.read("models/delay/versions/a.json") == b"{}\n"
    with pytest.raises(OutsideError, match="too large"):
        tree.read("gitml.yaml")


def test_a_damaged_object_is_not_a_missing_file(clone: Path) -> None:
    name = git(clone, "rev-parse", "HEAD:app/gitml.yaml").strip()
    (clone / ".git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(OutsideError):
        Git(clone).at("HEAD").read("app/gitml.yaml")
