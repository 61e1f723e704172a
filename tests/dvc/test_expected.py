"""What a stage would run on, told before any data is fetched: CI decides by it which stages need not run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import commit, dvc, git, write
from gitml.dvc.lockentries import Content
from gitml.dvc.repository import Dvc

STAGES = """\
stages:
  blend:
    cmd: sort members/*.txt > out.txt
    deps: [members]
    outs: [out.txt]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without data of a repository whose stage reads a folder, in which Git and DVC keep one file each."""
    source = tmp_path / "source"
    write(source, {"dvc.yaml": STAGES, "members/pins.yaml": "a: 1\n", "members/a.txt": "a\n"})
    git(source, "init", "-q", "-b", "main")
    dvc(source, "init")
    dvc(source, "add", "members/a.txt")
    dvc(source, "repro")
    commit(source, "trained")
    git(tmp_path, "clone", "-q", str(source), "clone")
    return tmp_path / "clone"


def as_locked(clone: Path, made: Sequence[Content]) -> bool | None:
    with Dvc(clone) as repo:
        entry, inputs = repo.entry("blend"), repo.expected("blend", {content.path: content for content in made})
        assert entry
        return inputs and inputs.inputs_digest() == entry.inputs_digest()


def test_a_folder_of_git_and_dvc_is_known_without_its_data(clone: Path) -> None:
    with Dvc(clone) as repo:
        brought = repo.entry("members/a.txt.dvc")
    assert brought
    assert not (clone / "members/a.txt").exists()
    assert as_locked(clone, brought.outs) is True
    (clone / "members/pins.yaml").write_text("a: 2\n")
    assert as_locked(clone, brought.outs) is False


def test_a_folder_is_not_known_before_what_lies_in_it_is(clone: Path) -> None:
    other = Content("members/a.txt", "md5:0123456789abcdef0123456789abcdef")
    assert as_locked(clone, [other]) is False
    assert as_locked(clone, []) is None
    assert as_locked(clone, [Content("members/a.txt", f"{other.digest}.dir")]) is None
