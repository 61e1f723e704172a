"""What a commit adds to its parents, and how trailers are read: by real Git."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import git
from gitml.git import merges
from gitml.git.commands import Git
from gitml.git.merges import adds_nothing, changes, parents
from gitml.git.repository import TooLargeError
from gitml.git.trailers import trailers, values


def commit(root: Path, message: str = "x", **files: str) -> str:
    for name, text in files.items():
        (root / f"{name}.txt").write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD").strip()


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, str, str]:
    """main and a branch that changed different files."""
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, a="1\n", b="1\n")
    git(tmp_path, "switch", "-q", "-c", "side")
    side = commit(tmp_path, b="2\n")
    git(tmp_path, "switch", "-q", "main")
    return tmp_path, commit(tmp_path, a="2\n"), side


def test_a_clean_merge_and_an_empty_commit_add_nothing(sides: tuple[Path, str, str]) -> None:
    root, main, side = sides
    git(root, "merge", "-q", "--no-edit", "side")
    repository = Git(root)
    merge = git(root, "rev-parse", "HEAD").strip()
    assert parents(repository, merge) == (main, side)
    assert adds_nothing(repository, merge)
    assert adds_nothing(repository, commit(root))
    assert not adds_nothing(repository, main)
    assert not adds_nothing(repository, commit(root, a="3\n"))


@pytest.mark.parametrize("strategy", ["ours", "edited"])
def test_a_merge_that_git_would_not_make_is_work(sides: tuple[Path, str, str], strategy: str) -> None:
    """Also with each file as one of the parents has it: it throws away what the other side did."""
    root, _, _ = sides
    words = ("-s", "ours") if strategy == "ours" else ("--no-commit",)
    git(root, "merge", "-q", "--no-edit", *words, "side")
    if strategy == "edited":
        commit(root, c="evil\n")
    assert not adds_nothing(Git(root), git(root, "rev-parse", "HEAD").strip())


def test_a_change_of_a_million_files_is_an_error_that_names_the_limit(
    sides: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, main, side = sides
    assert [row.path for row in changes(Git(root), main, side)] == ["a.txt", "b.txt"]
    monkeypatch.setattr(merges, "MOST_FILES", 1)
    with pytest.raises(TooLargeError, match="more than 1 files, which is the limit"):
        changes(Git(root), main, side)


def test_trailers_are_those_that_git_reads() -> None:
    message = "Train\n\nCo-authored-by : Rita <rita@x>\nCO-AUTHORED-BY:Olga\n <olga@x>\nGitml-Cause: one\n"
    assert trailers(message) == (
        ("Co-authored-by", "Rita <rita@x>"),
        ("CO-AUTHORED-BY", "Olga <olga@x>"),
        ("Gitml-Cause", "one"),
    )
    assert values(message, "gitml-cause") == ("one",)
    assert values("no trailer at all", "gitml-cause") == trailers("a subject: alone") == ()
