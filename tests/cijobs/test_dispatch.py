"""``gitml ci dispatch`` against the sandbox's API, as its workflow calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Ran, commit, git, gitml
from gitml.project.render import render_workflows
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.rest_kit import close_clients

HOSTILE = "weather/${{github.token}}\"'`id`&x"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    root: Path = tmp_path_factory.mktemp("sandbox") / "state"
    with serving(root, Options(port=0, runner=False)) as running:
        yield Kit(running.sandbox, running.address.url, people(running.sandbox))
        close_clients(running.address.url)


def pushed(kit: Kit, folder: Path, branch: str) -> str:
    """The application with its workflows, on main and on a branch. Returns ``owner/name``."""
    repo = kit.repo()
    render_workflows(folder)
    commit(folder, "workflows")
    git(folder, "push", "-q", kit.remote(repo, "ada"), "HEAD:refs/heads/main", f"HEAD:refs/heads/{branch}")
    return repo.full_name


def called(kit: Kit, folder: Path, tmp_path: Path, repo: str, event: Any) -> Ran:
    place = tmp_path / "event.json"
    place.write_text(json.dumps(event))
    env = {
        "GITHUB_API_URL": f"{kit.url}/api/v3",
        "GITHUB_SERVER_URL": kit.url,
        "GITHUB_REPOSITORY": repo,
        "GITHUB_TOKEN": kit.token["ada"],
        "GITHUB_EVENT_PATH": str(place),
    }
    return gitml(folder, "ci", "dispatch", env=env)


def event(repo: str, branch: str, action: str = "opened", head: str = "", **more: Any) -> dict[str, Any]:
    pull = {"head": {"ref": branch, "repo": {"full_name": head or repo}}}
    return {"action": action, "pull_request": pull, "repository": {"full_name": repo}, **more}


def dispatched(kit: Kit, repo: str) -> list[tuple[str, str]]:
    """Ref and workflow of each start by hand that the sandbox has noted."""
    with kit.sandbox.store.read() as tx:
        rows = tx.execute("SELECT payload FROM events WHERE name = 'workflow_dispatch' ORDER BY id").fetchall()
    found = [json.loads(row["payload"]) for row in rows]
    return [(p["ref"], p["workflow"]) for p in found if p["repository"]["full_name"] == repo]


@pytest.mark.parametrize("branch", ["weather", HOSTILE])
def test_the_branch_of_a_pull_request_is_trained_by_hand(kit: Kit, toy: Path, tmp_path: Path, branch: str) -> None:
    repo = pushed(kit, toy, branch)
    done = called(kit, toy, tmp_path, repo, event(repo, branch, "ready_for_review"))
    assert done.code == 0, done.err
    assert done.out == f"started gitml-train.yml on {branch}: the pull request was ready for review\n"
    assert dispatched(kit, repo) == [(f"refs/heads/{branch}", ".github/workflows/gitml-train.yml")]


def test_only_one_label_and_no_fork_start_anything(kit: Kit, toy: Path, tmp_path: Path) -> None:
    repo = pushed(kit, toy, "weather")
    for given, reason in (
        (event(repo, "weather", "labeled", label={"name": "bug"}), "the label is not gitml:commit"),
        (event(repo, "weather", head="eve/fork"), "it comes from a fork"),
    ):
        done = called(kit, toy, tmp_path, repo, given)
        assert (done.code, done.out.startswith(f"nothing started: {reason}")) == (0, True), done.err
    assert dispatched(kit, repo) == []
    done = called(kit, toy, tmp_path, repo, event(repo, "weather", "labeled", label={"name": "gitml:commit"}))
    assert (done.code, len(dispatched(kit, repo))) == (0, 1)


def test_beside_a_run_that_will_find_the_pull_request_none_is_started(kit: Kit, toy: Path, tmp_path: Path) -> None:
    repo = pushed(kit, toy, "weather")
    Runner(kit.sandbox, {"far": ["elsewhere"]}).turn()  # every job waits for a machine
    opened = event(repo, "weather")
    opened["pull_request"]["head"]["sha"] = git(toy, "rev-parse", "HEAD")
    done = called(kit, toy, tmp_path, repo, opened)
    assert (done.code, done.out.startswith("nothing started")) == (0, True), done.out + done.err
    assert "trains this commit already" in done.out
    with kit.sandbox.store.write() as tx:
        tx.execute("UPDATE jobs SET status = 'in_progress' WHERE name = 'commit'")
    done = called(kit, toy, tmp_path, repo, opened)
    assert done.out.startswith("started gitml-train.yml on weather"), "that run may have looked for it in vain"
    assert len(dispatched(kit, repo)) == 1


@pytest.mark.parametrize(
    ("conclusion", "expires", "again"),
    [("success", "2100", True), ("success", "", False), ("failure", "2100", False)],
)
def test_of_a_run_that_went_well_its_commit_alone_goes_again(
    kit: Kit, toy: Path, tmp_path: Path, conclusion: str, expires: str, again: bool
) -> None:
    repo = pushed(kit, toy, "weather")
    Runner(kit.sandbox, {"far": ["elsewhere"]}).turn()
    sha = git(toy, "rev-parse", "HEAD")
    with kit.sandbox.store.write() as tx:
        run = tx.execute("SELECT * FROM runs WHERE head_branch = 'weather' ORDER BY id DESC").fetchone()
        assert run["head_sha"] == sha
        for table, column in (("runs", "id"), ("jobs", "run_id")):
            done = f"UPDATE {table} SET status = 'completed', conclusion = ? WHERE {column} = ?"
            tx.execute(done, (conclusion, run["id"]))
        if expires:
            row = (
                run["repo_id"],
                run["id"],
                "fragment-train-cpu",
                1,
                "0" * 64,
                run["created_at"],
                f"{expires}-01-01T00:00:00Z",
            )
            names = "repo_id, run_id, name, size, digest, created_at, expires_at"
            tx.execute(f"INSERT INTO artifacts ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    opened = event(repo, "weather")
    opened["pull_request"]["head"]["sha"] = sha
    done = called(kit, toy, tmp_path, repo, opened)
    assert done.code == 0, done.err
    assert done.out.startswith("job commit goes again on weather" if again else "started gitml-train.yml"), done.out
    assert len(dispatched(kit, repo)) == (not again)
    with kit.sandbox.store.read() as tx:
        assert tx.execute("SELECT attempt FROM runs WHERE id = ?", (run["id"],)).fetchone()[0] == 1 + again
        kept = tx.execute(
            "SELECT key FROM jobs WHERE run_id = ? AND attempt = 2 AND status = 'completed'", (run["id"],)
        )
        assert [row["key"] for row in kept] == ["train-cpu"] * again


def test_a_branch_that_is_gone_is_an_error_of_the_outside(kit: Kit, toy: Path, tmp_path: Path) -> None:
    repo = pushed(kit, toy, "weather")
    done = called(kit, toy, tmp_path, repo, event(repo, "gone"))
    assert done.code == 4
    assert "dispatches" in done.err
    assert dispatched(kit, repo) == []


@pytest.mark.parametrize("given", [{}, [], {"pull_request": None}, {"pull_request": {"head": {"ref": "x"}}}])
def test_without_a_pull_request_nothing_is_started(kit: Kit, toy: Path, tmp_path: Path, given: Any) -> None:
    done = called(kit, toy, tmp_path, "ada/nothing", given)
    assert (done.code, "not started by a pull request" in done.err) == (2, True), done.err
