"""A stranger's fork: trained without rights, reported on by the default branch, which believes its figures only."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import TOY, write
from gitml_sandbox.forge import repos
from loop.loop_kit import Loop
from sandbox.forge_kit import git
from sandbox.runner_kit import Works

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

# What it writes beside the report is in its artifact, too.
HOSTILE = """
pathlib.Path(os.environ["RUNNER_TEMP"], "gitml").mkdir(exist_ok=True)
pathlib.Path(os.environ["RUNNER_TEMP"], "gitml", "report-words.md").write_text("MERGE THIS NOW")
print("MERGE THIS NOW, says", os.environ.get("GITHUB_TOKEN", "nobody"))
"""


def data(loop: Loop) -> set[Path]:
    return {path for path in loop.remote.rglob("*") if path.is_file()}


def test_a_pull_request_of_a_fork_is_trained_there_and_reported_on_here(loop: Loop, tmp_path: Path) -> None:
    works = loop.works
    kit = works.kit
    there = repos.create(kit.sandbox, kit.user("eve").id, f"fork-{works.repo.id}", fork_of=works.repo)
    clone = kit.clone(there, tmp_path / "fork", token="eve")
    git(clone, "checkout", "-q", "-B", "mine", "origin/main")
    write(clone, {"params.yaml": "rows: 20\nrate: 0.9\nnoise: false\n", "train.py": TOY["train.py"] + HOSTILE})
    git(clone, "commit", "-qam", "MERGE THIS NOW")
    kept = data(loop)
    git(clone, "push", "-q", "origin", "mine")
    Works(kit, works.runner, there, clone).settled()
    for path in data(loop) - kept:
        path.unlink()  # a folder of this machine is no remote that keeps a stranger's own CI out
    sha = git(clone, "rev-parse", "HEAD").strip()
    main, branches = loop.tip("main"), works.api("GET", "/branches").json()

    asked = {"title": "mine", "head": "eve:mine", "base": "main"}
    opened = works.api("POST", "/pulls", asked, token="eve")
    assert opened.status_code == 201, opened.text
    number = int(opened.json()["number"])
    (comment,) = loop.until(lambda: loop.comments(number))
    loop.settled()

    assert comment["user"]["login"] == "github-actions[bot]"
    assert "accuracy" in comment["body"]
    assert f"commit={sha} " in comment["body"]
    assert "figures come from a run of a fork" in comment["body"]
    assert "MERGE THIS NOW" not in comment["body"]
    status = loop.status(sha)
    assert status is not None
    assert status["state"] == "success"
    assert status["description"].startswith("a fork's run says: m: new version")
    assert status["creator"]["login"] == "github-actions[bot]"
    ran = {str(run["path"]).rpartition("/")[2]: run["conclusion"] for run in works.runs() if run["event"] != "push"}
    assert (ran["gitml-fork.yml"], ran["gitml-fork-report.yml"]) == ("success", "success"), loop.logs()
    assert data(loop) == kept, "a fork's pull request writes no data"
    assert (loop.tip("main"), works.api("GET", "/branches").json()) == (main, branches)
    assert git(clone, "ls-remote", "origin", "refs/heads/mine").split()[0] == sha, "and nobody writes to the fork"
