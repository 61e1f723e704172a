"""What a stage would run on, told before any data is fetched: CI decides by it which stages need not run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
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


PARTS = """\
stages:
  split:
    foreach: [a, b]
    do:
      cmd: mkdir -p parts/${item}/deep && echo ${item} | tee parts/${item}/x parts/${item}/deep/y > parts/${item}.txt
      outs: ["parts/${item}", "parts/${item}.txt"]
  train:
    cmd: cat parts/a/x parts/a/deep/y parts/*/x > out.txt
    deps: [parts/a/x, parts/a/deep, parts, parts/b.txt]
    outs: [out.txt]
"""


@pytest.fixture(scope="module")
def parts_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stages that make folders, and one that reads a file, a folder in one of them, and the folder around them all."""
    source = tmp_path_factory.mktemp("parts") / "source"
    write(source, {"dvc.yaml": PARTS, "parts/README": "made by split\n"})
    git(source, "init", "-q", "-b", "main")
    dvc(source, "init")
    dvc(source, "remote", "add", "-d", "store", str(source.parent / "store"))
    dvc(source, "repro")
    commit(source, "trained")
    dvc(source, "push")
    git(source.parent, "clone", "-q", str(source), "clone")
    return source.parent


@pytest.fixture
def parts(parts_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parts_template / "clone", tmp_path / "clone", symlinks=True))


def made_by_split(clone: Path) -> dict[str, Content]:
    with Dvc(clone) as repo:
        entries = [repo.entry("split@a"), repo.entry("split@b")]
    return {out.path: out for entry in entries if entry for out in entry.outs}


def expected(clone: Path, made: dict[str, Content]) -> dict[str, str] | None:
    with Dvc(clone) as repo:
        found = repo.expected("train", made)
        return {dep.path: dep.digest for dep in found.deps} if found else None


def test_parts_of_what_others_make_and_folders_around_it_are_known_by_their_listings(parts: Path) -> None:
    with Dvc(parts) as repo:
        entry = repo.entry("train")
    assert entry
    assert expected(parts, made_by_split(parts)) == {dep.path: dep.digest for dep in entry.deps}
    assert not (parts / "parts/a").exists()
    (parts / "parts/README").write_text("another\n")
    found = expected(parts, made_by_split(parts))
    assert found
    assert [dep.path for dep in entry.deps if found[dep.path] != dep.digest] == ["parts"]


def test_a_part_of_other_data_is_another(parts: Path) -> None:
    made = made_by_split(parts)
    swapped = {**made, "parts/a": replace(made["parts/b"], path="parts/a")}
    before, after = expected(parts, made), expected(parts, swapped)
    assert before
    assert after
    assert [path for path in before if before[path] != after[path]] == ["parts", "parts/a/deep", "parts/a/x"]


def test_a_part_is_not_known_without_the_listing_of_its_folder(parts: Path, parts_template: Path) -> None:
    made = made_by_split(parts)
    lost = made["parts/a"].digest.removeprefix("md5:")
    write(parts, {".dvc/config.local": f"['remote \"store\"']\n    url = {parts.parent}/none\n"})
    assert lost.endswith(".dir")
    assert expected(parts, made) is None
    assert expected(parts_template / "source", {k: c for k, c in made.items() if k != "parts/a"}) is None
    assert expected(parts_template / "source", made) is not None
