"""Commits made beside the work tree are those that Git itself would make, and leave index and files alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import commit, git, write
from gitml.errors import IntegrityError, OutsideError
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_file, commit_paths, commit_tree, tree_with

OLGA = Who("Olga Ö", "olga@example.org")


@pytest.fixture(params=["sha1", "sha256"])
def clone(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q", "-b", "main", f"--object-format={request.param}")
    write(root, {"a.txt": "a\n", "a/../a-b/x": "x\n", "models/delay/production.yaml": "one\n", "run.sh": "true\n"})
    (root / "run.sh").chmod(0o755)
    commit(root, "Files")
    return root


def listed(root: Path, name: str) -> dict[str, str]:
    lines = git(root, "ls-tree", "-r", name).splitlines()
    return {path: about.split()[0] for about, _, path in (line.partition("\t") for line in lines)}


def test_one_file_changes_and_all_else_stays(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    made = commit_file(Git(clone), before, "models/delay/production.yaml", b"two\n", "Promote\n\nX: y\n", OLGA)
    assert git(clone, "diff", "--name-status", before, made).split() == ["M", "models/delay/production.yaml"]
    assert git(clone, "show", f"{made}:models/delay/production.yaml") == "two"
    assert git(clone, "show", "-s", "--format=%P|%an <%ae>|%cn|%B", made).strip() == (
        f"{before}|Olga Ö <olga@example.org>|Olga Ö|Promote\n\nX: y"
    )
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "rev-parse", "HEAD") == before
    git(clone, "fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("path", ["new", "new/deep/file", "a.txt/file", "a-b", "a", "models/delay/a.yaml"])
def test_whatever_is_in_the_way_goes_and_the_order_is_gits(clone: Path, path: str) -> None:
    expected = {p: m for p, m in listed(clone, "HEAD").items() if not p.startswith(f"{path}/")}
    expected = {p: m for p, m in expected.items() if not path.startswith(f"{p}/")} | {path: "100644"}
    made = commit_file(Git(clone), git(clone, "rev-parse", "HEAD"), path, b"new\n", "New", OLGA)
    assert listed(clone, made) == expected
    git(clone, "fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("path", ["", "../out", "a//b", "/abs", ".git/hooks/pre-commit", "a/.GIT/config"])
def test_no_path_leads_out_of_the_tree(clone: Path, path: str) -> None:
    with pytest.raises(IntegrityError, match="not the path"):
        commit_file(Git(clone), git(clone, "rev-parse", "HEAD"), path, b"", "x", OLGA)


def test_a_commit_needs_its_parent(clone: Path) -> None:
    width = len(git(clone, "rev-parse", "HEAD"))
    with pytest.raises(OutsideError, match="lacks the commit"):
        commit_file(Git(clone), "ab" * (width // 2), "x", b"", "x", OLGA)


def test_a_name_cannot_add_lines_to_a_commit(clone: Path) -> None:
    who = Who("Eve <root@x>\ncommitter Bob <bob@x> 0 +0000", "e\n>ve@x")
    made = commit_file(Git(clone), git(clone, "rev-parse", "HEAD"), "x", b"", "x", who)
    assert git(clone, "show", "-s", "--format=%ae|%ce", made) == "eve@x|eve@x"
    git(clone, "fsck", "--strict", "--no-dangling")


def test_paths_are_taken_as_the_work_tree_has_them(clone: Path) -> None:
    write(clone, {"new ü.txt": "line\r\n", "a.txt": "changed\n"})
    (clone / "run.sh").unlink()
    git(clone, "config", "core.autocrlf", "true")
    head = git(clone, "rev-parse", "HEAD")
    made = commit_paths(Git(clone), head, ["new ü.txt", "run.sh"], "x", OLGA)
    assert made is not None
    assert git(clone, "-c", "core.quotePath=false", "diff", "--name-status", head, made).split("\n") == [
        "A\tnew ü.txt",
        "D\trun.sh",
    ]
    assert Git(clone).at(made).read("new ü.txt") == b"line\r\n"
    assert git(clone, "diff", "--cached", "--name-only") == ""
    assert commit_paths(Git(clone), head, ["models/delay/production.yaml"], "x", OLGA) is None


def test_a_tree_may_have_several_parents(clone: Path) -> None:
    first = git(clone, "rev-parse", "HEAD")
    write(clone, {"a.txt": "2\n"})
    second = commit(clone, "Second")
    made = commit_tree(Git(clone), git(clone, "rev-parse", f"{first}^{{tree}}"), [second, first], "Back", OLGA)
    assert git(clone, "rev-parse", f"{made}^1", f"{made}^2").split() == [second, first]
    assert git(clone, "diff", first, made) == ""


def test_a_file_taken_out_of_a_tree_takes_its_empty_folders_along(clone: Path) -> None:
    repository = Git(clone).repository
    tree = git(clone, "rev-parse", "HEAD^{tree}")
    less = tree_with(repository, tree, "models/delay/production.yaml", None)
    assert git(clone, "diff-tree", "-r", "-t", "--name-status", tree, less).split() == [
        *("D", "models", "D", "models/delay", "D", "models/delay/production.yaml")
    ]
    assert tree_with(repository, tree, "nowhere/x", None) == tree
    for name in ("a.txt", "a-b/x", "run.sh"):
        less = tree_with(repository, less, name, None)
    assert less == git(clone, "hash-object", "-t", "tree", "/dev/null")
    assert listed(clone, tree_with(repository, "", "new/file", b"x")) == {"new/file": "100644"}
