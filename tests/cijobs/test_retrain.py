"""A stale main asks for its training, of an application that is not at the top of its repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import TOY, commit, dvc, git, gitml, write
from sandbox.forge_kit import Kit


@pytest.mark.slow
@pytest.mark.nightly
def test_in_a_sub_folder_the_application_has_a_workflow_and_a_branch_of_its_own(kit: Kit, tmp_path: Path) -> None:
    app = tmp_path / "clone/apps/toy"
    write(app, {**TOY, "gitml.yaml": TOY["gitml.yaml"] + "ci: {branch: main}\n"})
    git(tmp_path / "clone", "init", "-q", "-b", "main")
    dvc(app, "init")
    assert gitml(app, "ci", "render").code == 0
    sha, repo = commit(tmp_path / "clone", "start"), kit.repo()
    git(app, "push", "-q", kit.remote(repo, "ada"), "HEAD:refs/heads/main")
    env = {
        "CI": "true",
        "GITHUB_SHA": sha,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REPOSITORY": repo.full_name,
        "GITHUB_SERVER_URL": kit.url,
        "GITHUB_API_URL": f"{kit.url}/api/v3",
        "GITHUB_TOKEN": kit.token["ada"],
    }
    ran = gitml(app, "ci", "run", "train-cpu", env=env)
    assert ran.code == 0, ran.err
    done = gitml(app, "ci", "commit", env=env)
    assert done.out.startswith("stale: main is stale: m must be trained again, by pull request #1"), done.out + done.err
    assert "waits for somebody" not in done.out
    with kit.sandbox.store.read() as tx:
        rows = tx.execute("SELECT payload FROM events WHERE name = 'workflow_dispatch'").fetchall()
    started = [
        p for p in (json.loads(row["payload"]) for row in rows) if p["repository"]["full_name"] == repo.full_name
    ]
    assert [(p["ref"], p["workflow"]) for p in started] == [
        ("refs/heads/gitml/retrain-toy", ".github/workflows/gitml-toy-train.yml")
    ]
