"""Opening a pull request in the browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml_sandbox.forge import repos
from sandbox.forge_kit import Kit, commit, git
from sandbox.web_kit import Case, browser


@pytest.fixture
def case(kit: Kit, tmp_path: Path) -> Case:
    return Case(kit, tmp_path / "a")


def test_opening_one(case: Case) -> None:
    git(case.clone, "checkout", "-q", "-b", "next-step", "origin/main")
    commit(case.clone, "next.txt", "x\n", "Next step\n\nBecause.")
    git(case.clone, "push", "-q", "origin", "HEAD:next-step")
    ada = browser(case.kit, "ada")
    page = f"{case.home}/compare?base=main&head=next-step"
    assert 'value="Next step"' in ada.get(page)
    form = {"base": "main", "head": "next-step", "title": "Next", "body": "By the page", "draft": "1"}
    refused = ada.post(page, {**form, "title": " "}, to=f"{case.home}/compare")
    assert refused.status_code == 422
    assert "By the page" in refused.text
    answer = ada.post(page, form, to=f"{case.home}/compare")
    assert answer.headers["location"] == f"{case.home}/pull/{case.number + 1}"
    assert "Draft" in ada.get(answer.headers["location"])
    again = ada.post(page, form, to=f"{case.home}/compare")
    assert again.status_code == 422
    assert "A pull request already exists" in again.text
    assert "already has everything" in ada.get(f"{case.home}/compare?base=main&head=main")
    assert "no such branch" in ada.get(f"{case.home}/compare?base=main&head=nothing")
    stranger = browser(case.kit, "eve").post(page, form, to=f"{case.home}/compare")
    assert stranger.status_code == 403


@pytest.mark.nightly
def test_from_a_fork(kit: Kit, case: Case, tmp_path: Path) -> None:
    fork = repos.create(kit.sandbox, kit.user("eve").id, case.repo.name, fork_of=case.repo)
    clone = kit.clone(fork, tmp_path / "fork", "eve")
    commit(clone, "fork.txt", "x\n", "From outside")
    git(clone, "push", "-q", "origin", "HEAD:idea")
    eve = browser(kit, "eve")
    page = f"{case.home}/compare?base=main&head=eve:idea"
    assert "From outside" in eve.get(page)
    form = {"base": "main", "head": "eve:idea", "title": "An idea", "body": ""}
    answer = eve.post(page, form, to=f"{case.home}/compare")
    assert answer.status_code == 303
    assert "eve:idea" in eve.get(answer.headers["location"])
    assert "From outside" in eve.get(f"{answer.headers['location']}/commits")
