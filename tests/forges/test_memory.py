"""The forge in memory beyond what every forge does: found, copied, pushed to by plain Git, told of runs."""

from __future__ import annotations

import doctest
import gc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import commit, git
from forges.homes import JOBS, MemoryHome, memory_home, pull, tip
from gitml.control.place import Place
from gitml.errors import FailedError, RefError, UsageError
from gitml.forges.base import Branch, Job, OnPull, Run, State, Status
from gitml.forges.governed import Protection
from gitml.forges.memory import MemoryForge
from gitml.forges.settings import Settings
from gitml.forges.table import connect, job_of, settings_from
from gitml.http import HttpError


@pytest.fixture
def home(tmp_path: Path) -> MemoryHome:
    made = memory_home(tmp_path / "forge")
    made.write("ada", "README.md", "# hello\n")
    return made


def test_it_is_found_by_name_and_path_as_long_as_it_lives(home: MemoryHome, tmp_path: Path) -> None:
    env = {"GITML_FORGE": "memory", "GITML_MEMORY_LOGIN": "olga"}
    found = settings_from(env, str(home.forge.remote))
    assert (found, found.home) == (home.settings("olga"), str(home.forge.remote).removesuffix(".git"))
    assert settings_from({**env, "GITML_MEMORY": str(home.forge.remote)}) == found
    with connect(found) as hub:
        assert hub.me() == "olga"
        assert isinstance(hub.about().name, str)
    with pytest.raises(UsageError, match="no repository"):
        settings_from({}, str(home.forge.remote))
    assert not job_of({"GITML_FORGE": "memory"}).is_ci
    for wrong, said in (({**env, "GITML_MEMORY": "/nowhere"}, "no forge in memory"), (env, "nowhere")):
        with pytest.raises(UsageError, match=said):
            settings_from(wrong)
    with pytest.raises(UsageError, match="no account"), connect(Settings(found.api, "", "a/b", forge="memory")):
        pass
    del home.forge
    gc.collect()
    with pytest.raises(UsageError, match="is gone"), connect(found):
        pass


def test_a_copy_is_a_forge_of_its_own(home: MemoryHome, tmp_path: Path) -> None:
    number = pull(home).number
    other = MemoryHome(home.forge.copy(tmp_path / "other"))
    other.review("olga", number)
    with home.as_() as here, other.as_() as there:
        there.comments.add(OnPull(number), "there")
        there.merges.merge(number, there.pulls.get(number).head.commit)
        assert (len(here.reviews.list(number)), here.comments.list(OnPull(number))) == (0, ())
        assert (here.pulls.get(number).is_open, there.pulls.get(number).is_open) == (True, False)
        assert tip(home) != tip(other)
        assert there.people.find("olga") == here.people.find("olga")


def test_plain_git_pushes_to_it_and_fetches_from_it(home: MemoryHome, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", home.remote(), str(clone))
    git(clone, "checkout", "-q", "-b", "feature")
    (clone / "a.txt").write_text("1")
    first = commit(clone, "one")
    git(clone, "push", "-q", "origin", "feature")
    home.pushed("rita")
    with home.as_("olga") as hub:
        made = pull(home, "other")
        assert [p.by.login for p in hub.merges.pushes("feature")] == ["rita"]
        (clone / "a.txt").write_text("2")
        second = commit(clone, "two")
        git(clone, "push", "-q", "origin", "feature")
        # Nobody said whose this push was: the account that looks first is taken for it.
        assert [(p.by.login, p.after) for p in hub.merges.pushes("feature")] == [("olga", second), ("rita", first)]
        assert made.head.commit in git(clone, "ls-remote", "origin", f"refs/pull/{made.number}/head")
        git(clone, "push", "-q", "origin", ":feature")
        assert hub.merges.pushes("feature")[0].kind == "branch_deletion"
        git(clone, "fetch", "-q", "--depth=1", "--filter=tree:0", "origin", made.head.commit)


def test_flows_reach_it_by_its_path(home: MemoryHome, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", home.remote(), str(clone))
    newer = home.write("ada", "x", "1")
    with home.as_() as hub:
        place = Place(clone, hub, home.settings())
        assert place.newest().commit == newer
        assert place.who().email == f"{home.person('ada').id}+ada@users.noreply.localhost"


def test_times_are_those_of_its_clock(tmp_path: Path) -> None:
    forge = MemoryForge.create(tmp_path, "ada/x", now=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    forge.account("olga", "write")
    ada = forge.as_("ada")
    made = ada.acts.write({"a": "1", "b/c": b"2"})
    ada.acts.branch("feature")
    ada.acts.write({"a": None, "b/c": None}, "feature")
    assert git(forge.remote, "log", "-1", "--format=%at %ct", made) == "1772366400 1772366400"
    assert ada.merges.pushes("main")[0].time == "2026-03-01T12:00:00Z"
    assert git(forge.remote, "ls-tree", "-r", "--name-only", "feature") == ""
    assert git(forge.remote, "fsck", "--strict", "--no-dangling") == ""


def test_what_guards_a_branch_holds_for_pushes_by_way_of_the_forge(home: MemoryHome) -> None:
    first, second = tip(home), home.write("olga", "x", "1")
    with home.as_() as hub:
        hub.guards.protect("main", Protection({"ci": None}, admins=True))
        with pytest.raises(HttpError, match="rewritten"):
            home.move("olga", "main", first)
        with pytest.raises(HttpError, match='"ci" is missing'):
            home.write("olga", "y", "1")
        home.move("olga", "next", second)
        third = home.write("olga", "z", "1", "next")
        hub.commits.post(third, Status("ci", State.SUCCESS))
        home.move("olga", "main", third)
        home.unprotect()
        with pytest.raises(HttpError, match="default branch"):
            home.move("olga", "main", None)
        with pytest.raises(HttpError, match="may not push"):
            home.move("eve", "main", first)


def test_code_owners_that_it_does_not_read_let_nothing_pass(home: MemoryHome) -> None:
    home.write("ada", "CODEOWNERS", "* @olga\n")
    made = pull(home)
    with home.as_() as hub:
        hub.guards.protect("main", Protection(pull_request=True, code_owners=True, admins=True))
        assert hub.merges.readiness(made.number).state == "blocked"


def test_a_push_into_the_folder_during_a_merge_is_not_overwritten(home: MemoryHome, tmp_path: Path) -> None:
    made, other = pull(home), home.write("ada", "z", "1", "feature")

    def now() -> datetime:
        """The merge asks for the time when it makes its commit."""
        git(tmp_path / "copy" / f"{home.repository}.git", "update-ref", "refs/heads/main", other)
        return datetime.now(UTC)

    copy = home.forge.copy(tmp_path / "copy", now=now)
    with pytest.raises(FailedError, match="main has moved: nothing was merged"):
        copy.as_("ada").merges.merge(made.number, other)
    assert copy.as_("ada").commits.branch("main") == Branch("main", other, is_protected=False)


def test_runs_are_kept_and_started_but_not_carried_out(home: MemoryHome) -> None:
    home.write("ada", ".github/workflows/train.yml", "on: workflow_dispatch\n")
    commit_ = tip(home)
    acts = home.forge.as_("ada").acts
    job = Job(5, "train", "completed", "failure", ("gpu",), "big", "2026-01-01T00:00:00Z", "")
    run = Run(0, 1, "push", "train.yml", "main", commit_, home.repository, "completed", "failure", "")
    with home.as_() as hub:
        known = acts.ran(run, [job], {"report": b"zip"})
        assert hub.runs.get(known.id) == known
        (artifact,) = hub.runs.artifacts(known.id)
        assert (artifact.name, hub.runs.download(artifact.id)) == ("report", b"zip")
        acts.expire(known.id)
        assert [a.is_expired for a in hub.runs.artifacts(known.id)] == [True]
        with pytest.raises(HttpError, match="expired"):
            hub.runs.download(artifact.id)
        assert hub.runs.rerun(job.id)
        assert not hub.runs.rerun(job.id), "it goes on"
        (again,) = hub.runs.jobs(known.id)
        assert (again.status, hub.runs.get(known.id).attempt, hub.runs.get(known.id).by) == ("queued", 2, "ada")
        hub.runs.start("train.yml", "main")
        started, _ = hub.runs.of_commit(commit_)
        assert (started.event, started.status, started.by) == ("workflow_dispatch", "queued", "ada")


def test_what_it_does_not_have(home: MemoryHome, tmp_path: Path) -> None:
    with pytest.raises(RefError, match="no account nobody"):
        home.forge.as_("nobody")
    with pytest.raises(UsageError, match="is no role"):
        home.forge.account("eve", "boss")
    with pytest.raises(UsageError, match="is there already"):
        MemoryForge.create(tmp_path / "forge", home.repository)
    with pytest.raises(HttpError, match="no commit found"):
        home.move("ada", "odd", "f" * 40)
    assert home.person(JOBS).login == JOBS


def test_the_example_of_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs/reference/forges.md"
    monkeypatch.chdir(tmp_path)
    done = doctest.testfile(str(page), module_relative=False)
    assert (done.failed, done.attempted > 5) == (0, True)
