"""``gitml ci wait`` in a sandbox whose runner has no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Ran, commit, git, gitml, write
from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.rest_kit import close_clients
from sandbox.runner_kit import Works

GPU = "hardware: {cpu: [ubuntu-latest], gpu: [self-hosted, gpu]}\nstages: {train: {hardware: gpu}}\n"
# The jobs have the names of the rendered ones; what they do does not matter here.
FLOW = """\
name: gitml train
on: push
jobs:
  train-cpu: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}
  train-gpu: {runs-on: [self-hosted, gpu], steps: [{run: 'true'}]}
"""


@pytest.fixture
def works(toy: Path, tmp_path: Path) -> Iterator[Works]:
    with serving(tmp_path / "state", Options(port=0, runner=False)) as running:
        runner = Runner(running.sandbox, {"m1": HOSTED})
        runner.start()
        try:
            kit = Kit(running.sandbox, running.address.url, people(running.sandbox))
            repo = kit.repo()
            write(toy, {"gitml.yaml": (toy / "gitml.yaml").read_text() + GPU, ".github/workflows/t.yml": FLOW})
            commit(toy, "a stage on a GPU")
            git(toy, "push", "-q", kit.remote(repo, "ada"), "HEAD:refs/heads/main")
            yield Works(kit, runner, repo, toy)
            close_clients(kit.url)
        finally:
            runner.stop()


def called(works: Works, *words: str) -> Ran:
    (run,) = works.runs("push")
    env = {
        "GITHUB_API_URL": f"{works.kit.url}/api/v3",
        "GITHUB_SERVER_URL": works.kit.url,
        "GITHUB_REPOSITORY": works.repo.full_name,
        "GITHUB_TOKEN": works.kit.token["ada"],
        "GITHUB_RUN_ID": str(run["id"]),
        "GITHUB_SHA": run["head_sha"],
        "GITHUB_REF": "refs/heads/main",
    }
    return gitml(works.clone, "ci", "wait", *words, env=env)


@pytest.mark.nightly
@pytest.mark.slow
def test_a_job_without_a_runner_is_reported_and_goes_on_waiting(works: Works) -> None:
    works.until(lambda: [j for r in works.runs("push") for j in works.jobs(r).values() if j["status"] == "completed"])
    (run,) = works.runs("push")
    done = called(works, "train-cpu")
    assert (done.code, done.out) == (0, "train-cpu: m1\n"), done.err
    assert "gitml/train" not in works.statuses(run["head_sha"])

    done = called(works, "train-gpu", "--minutes", "0.02")
    assert done.code == 0, done.err
    said = "no runner took job train-gpu in 1.2 s: it asks for one with the labels self-hosted, gpu"
    assert done.out.startswith(said)
    assert works.statuses(run["head_sha"])["gitml/train"] == "error"
    assert said[:60] in works.description(run["head_sha"], "gitml/train")
    (comment,) = works.api("GET", f"/commits/{run['head_sha']}/comments").json()
    assert said in comment["body"]
    assert works.jobs(run)["train-gpu"]["status"] == "queued"

    done = called(works, "train-tpu")
    assert (done.code, "jobs here: train-cpu, train-gpu" in done.err) == (2, True)
