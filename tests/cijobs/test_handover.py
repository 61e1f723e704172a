"""The hand-over folder: new in each job, outside the checkout, and never what somebody committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import git
from gitml.cijobs.handover import folder_of, place_of
from gitml.errors import IntegrityError, UsageError


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    place = tmp_path / "clone"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    return place


def job(clone: Path, **more: str) -> dict[str, str]:
    return {"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(clone.parent / "temp"), **more}


def test_a_job_hands_over_outside_the_checkout(clone: Path) -> None:
    assert folder_of(clone, job(clone)) == clone.parent / "temp" / "gitml"
    assert place_of(clone, job(clone, GITML_CI=str(clone.parent / "mine"))) == clone.parent / "mine"
    inside: list[dict[str, str]] = [{"GITML_CI": "here"}, {"GITML_CI": "../clone/x"}, {"RUNNER_TEMP": ""}]
    (clone.parent / "link").symlink_to(clone)
    for env in (*inside, {"GITML_CI": str(clone.parent / "link" / "x")}):
        with pytest.raises(UsageError, match="lies in the checkout"):
            place_of(clone, job(clone, **env))


def test_by_hand_it_is_a_folder_that_git_ignores(clone: Path) -> None:
    folder = folder_of(clone, {})
    (folder / "report.json").write_text("{}")
    assert folder == clone / ".gitml-ci"
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("kind", ["file", "link", "sub-folder"])
def test_what_is_committed_is_no_hand_over(clone: Path, kind: str) -> None:
    root = clone / "apps" / "a" if kind == "sub-folder" else clone
    root.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        (root / "other").mkdir()
        (root / ".gitml-ci").symlink_to("other")
    else:
        (folder_of(root, {}) / "verify-delay.json").write_text("{}")
    git(clone, "add", "--force", str(root / ".gitml-ci"))
    with pytest.raises(IntegrityError, match="is committed"):
        place_of(root, {})


def test_a_folder_without_history_hands_over_too(tmp_path: Path) -> None:
    assert place_of(tmp_path, {}) == tmp_path / ".gitml-ci"
