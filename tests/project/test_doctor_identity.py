"""Whether the forge knows whose commits are made here, before a promotion needs to know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import git
from gitml.forges.memory import MemoryForge
from gitml.git.commands import Git
from gitml.project.doctoridentity import identity
from gitml.project.doctorpoint import Mark


@pytest.fixture
def clone(tmp_path: Path) -> tuple[MemoryForge, Path]:
    """One of a repository to which somebody pushed under their own Git identity."""
    forge = MemoryForge.create(tmp_path / "forge", "ada/flights")
    forge.as_("ada").acts.write({"a.txt": "1\n"}, by="Ada <me@home.example>")
    git(tmp_path, "clone", "-q", str(forge.remote), "here")
    git(tmp_path / "here", "config", "user.email", "me@home.example")
    return forge, tmp_path / "here"


def test_an_address_of_no_account_is_named_with_what_to_do(clone: tuple[MemoryForge, Path]) -> None:
    forge, root = clone
    found = identity(forge.as_("ada"), Git(root))
    assert found.mark is Mark.MISSING
    assert "links me@home.example with no account" in found.what
    assert "add it to your account" in found.todo
    forge.account("ada", emails=["me@home.example"])
    found = identity(forge.as_("ada"), Git(root))
    assert (found.mark, found.what) == (Mark.OK, "commits of me@home.example are by ada")


@pytest.mark.parametrize(
    ("email", "mark"), [("7+ada@users.noreply.github.com", Mark.OK), ("new@home.example", Mark.UNKNOWN)]
)
def test_what_cannot_be_wrong_or_is_not_on_the_forge_yet(
    clone: tuple[MemoryForge, Path], email: str, mark: Mark
) -> None:
    forge, root = clone
    git(root, "config", "user.email", email)
    assert identity(forge.as_("ada"), Git(root)).mark is mark
