"""A forge is found by name, by where it is, or by an entry point; a new one is one module."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from gitml.errors import UsageError
from gitml.forges import table
from gitml.forges.job import ForgeJob, JobCause
from gitml.forges.settings import Settings
from gitml.forges.table import adapter, connect, job_of, settings_from


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A forge of which everything is in this function."""
    module = ModuleType("toy_forge")

    @contextmanager
    def connecting(settings: Settings, **_: Any) -> Iterator[str]:
        yield f"connected to {settings.home}"

    def named(env: Mapping[str, str], remote: str) -> Settings:
        return Settings("https://toy.example/api", "https://toy.example", env.get("TOY", "a/b"), "t", forge="toy")

    module.recognises = lambda env, remote: "toy.example" in remote or "TOY" in env  # type: ignore[attr-defined]
    module.settings = named  # type: ignore[attr-defined]
    module.connect = connecting  # type: ignore[attr-defined]
    module.job = lambda env: ForgeJob(is_ci=True, run=7)  # type: ignore[attr-defined]
    module.run_page = lambda home, run: f"{home}/-/runs/{run}"  # type: ignore[attr-defined]
    module.pull_ref = lambda number: f"refs/merge-requests/{number}/head"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_forge", module)
    monkeypatch.setitem(table.FORGES, "toy", "toy_forge")
    return module


def test_a_toy_forge_is_one_module(toy: ModuleType) -> None:
    settings = settings_from({}, "https://toy.example/a/b.git")
    assert settings.forge == "toy"
    with connect(settings) as forge:
        assert forge == "connected to https://toy.example/a/b"
    assert job_of({"TOY": "x/y"}).run == 7
    assert adapter(settings.forge).pull_ref(3) == "refs/merge-requests/3/head"


def test_a_name_decides_before_any_address(toy: ModuleType) -> None:
    assert settings_from({"GITML_FORGE": "toy"}, "https://github.com/a/b.git").forge == "toy"
    assert settings_from({"GITML_FORGE": "github"}, "https://toy.example/a/b.git").forge == "github"


def test_an_unknown_address_is_taken_for_github_and_an_unknown_name_for_nothing() -> None:
    assert settings_from({}, "https://git.example/a/b.git").api == "https://git.example/api/v3"
    with pytest.raises(UsageError, match="knows no forge called 'sourcehut'"):
        settings_from({"GITML_FORGE": "sourcehut"})


ELSEWHERE = {
    "GITML_CI_SYSTEM": "jenkins",
    "GITML_REMOTE": "git@github.com:ada/flights.git",
    "GITML_TOKEN": " t\n",
    "GITML_BRANCH": "feature/x",
    "GITML_COMMIT": "a" * 40,
    "GITML_RUN": "7",
    "GITML_RUN_URL": "https://ci.example.org/7/",
    "GITML_CAUSE": "push",
}


def test_a_ci_system_beside_the_forge_says_what_its_jobs_are_about() -> None:
    told = job_of({**ELSEWHERE, "GITHUB_SHA": "b" * 40, "GITHUB_RUN_ID": "9"})
    assert (told.is_ci, told.cause, told.branch, told.commit) == (True, JobCause.PUSH, "feature/x", "a" * 40)
    assert (told.web, told.repository, told.token) == ("https://github.com", "ada/flights", "t")
    assert (told.run, told.attempt, told.run_url) == (7, 1, "https://ci.example.org/7/")


@pytest.mark.parametrize(("number", "run"), [("0", 0), ("-1", 0), ("7; rm", 0), ("٧", 0), ("9" * 30, 0), ("12", 12)])
def test_a_run_that_is_no_number_is_none(number: str, run: int) -> None:
    assert job_of({**ELSEWHERE, "GITML_RUN": number}).run == run


@pytest.mark.parametrize("commit", ["main", "--upload-pack=x", "A" * 40, "a" * 41, ""])
def test_what_is_no_commit_is_none(commit: str) -> None:
    assert job_of({**ELSEWHERE, "GITML_COMMIT": commit}).commit == ""


def test_a_folder_as_remote_names_no_repository_and_no_token() -> None:
    told = job_of({**ELSEWHERE, "GITML_REMOTE": "/srv/flights"})
    assert (told.is_ci, told.repository, told.token) == (True, "", "")


def test_the_forges_own_variable_comes_before_that_of_every_forge() -> None:
    assert settings_from({**ELSEWHERE, "GITHUB_TOKEN": "mine"}).token == "mine"
