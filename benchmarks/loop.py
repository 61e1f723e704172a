"""Overhead of the loop in a sandbox of its own: push to comment, the stages' own time taken off.

    python -m benchmarks.loop [ROUNDS]

One line of JSON: medians in seconds of a push that trains (less what its stages took) and of one that changes nothing.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks.timing import git
from benchmarks.train import FILES
from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.forge import repos, tokens, users
from gitml_sandbox.server.serve import Options, serving

BUDGET, UNCHANGED_BUDGET = 10.0, 8.0


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "state", Options(port=0, runner=False)) as box:
        with box.sandbox.store.write() as tx:
            owner = users.add(tx, "bench")
            token = tokens.mint(tx, user_id=owner.id, kind="user")
        repo = repos.create(box.sandbox, owner.id, "loop")
        runner = Runner(box.sandbox, {"m1": HOSTED, "m2": HOSTED})
        runner.start()
        try:
            found = measure(Path(folder), box.address.url, token, repo.full_name, rounds)
        finally:
            runner.stop()
    print(json.dumps(found))
    sys.exit(0 if found["overhead_s"] <= BUDGET and found["unchanged_s"] <= UNCHANGED_BUDGET else 1)


def measure(folder: Path, url: str, token: str, name: str, rounds: int) -> dict[str, float]:
    app = folder / "app"
    application(app, folder / "remote")
    remote = url.replace("://", f"://x:{token}@") + f"/{name}.git"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{url}/api/v3/repos/{name}/", headers=headers, timeout=60) as api:
        git(app, "push", "-q", remote, "HEAD:main")
        settled(api)
        overheads, unchanged = [], []
        for turn in range(rounds):
            (app / "params.yaml").write_text(json.dumps({"files": 20 + turn}))
            took, trained = one(api, app, remote, f"round-{turn}")
            overheads.append(took - trained)
            git(app, "checkout", "-q", "--detach", "main")
            (app / "notes.txt").write_text(str(turn))
            unchanged.append(one(api, app, remote, f"same-{turn}")[0])
            git(app, "checkout", "-q", "--detach", "main")
    return {
        "rounds": rounds,
        "overhead_s": round(statistics.median(overheads), 2),
        "overhead_budget_s": BUDGET,
        "unchanged_s": round(statistics.median(unchanged), 2),
        "unchanged_budget_s": UNCHANGED_BUDGET,
    }


def application(app: Path, remote: Path) -> None:
    app.mkdir()
    for path, text in {**FILES, "params.yaml": '{"files": 10}'}.items():
        (app / path).write_text(text + ("publisher: gitml\n" if path == "gitml.yaml" else ""))
    git(app, "init", "-q", "-b", "main")
    gitml = [sys.executable, "-m", "gitml"]
    dvc = [sys.executable, "-m", "dvc"]
    said = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for words in (
        [*dvc, "init", "-q"],
        [*dvc, "remote", "add", "-q", "-d", "r", str(remote)],
        [*gitml, "ci", "render"],
    ):
        subprocess.run(words, cwd=app, check=True, **said)
    subprocess.run([*gitml, "train"], cwd=app, check=True, **said)
    subprocess.run([*dvc, "push", "-q"], cwd=app, check=True)
    git(app, "add", ".")
    git(app, "commit", "-qm", "trained")


def one(api: httpx.Client, app: Path, remote: str, branch: str) -> tuple[float, float]:
    """Push the work tree as a branch: seconds until its report is there, and what the stages took of them."""
    git(app, "add", ".")
    git(app, "commit", "-qm", branch)
    began = time.monotonic()
    git(app, "push", "-q", remote, f"HEAD:refs/heads/{branch}")
    sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=app, check=True, capture_output=True, text=True).stdout
    while True:
        comments = api.get(f"commits/{sha.strip()}/comments").json()
        if comments and success(api.get(f"commits/{sha.strip()}/statuses").json()):
            took = time.monotonic() - began
            settled(api)
            return took, trained(api, branch)
        if time.monotonic() - began > 120:
            sys.exit("no report within two minutes")
        time.sleep(0.05)


def success(statuses: list[dict[str, Any]]) -> bool:
    return any(s["context"] == "gitml/train" and s["state"] == "success" for s in statuses)


def trained(api: httpx.Client, branch: str) -> float:
    """Seconds that the stages themselves took, as the run's fragments say."""
    (run,) = api.get("actions/runs", params={"branch": branch}).json()["workflow_runs"]
    total = 0.0
    for artifact in api.get(f"actions/runs/{run['id']}/artifacts").json()["artifacts"]:
        if artifact["name"].startswith("fragment-"):
            packed = api.get(artifact["archive_download_url"], follow_redirects=True).content
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                stages = json.loads(archive.read(archive.namelist()[0]))["stages"]
            total += sum(stage["seconds"] for stage in stages if stage["how"] == "ran")
    return total


def settled(api: httpx.Client) -> None:
    while any(run["status"] != "completed" for run in api.get("actions/runs").json()["workflow_runs"]):
        time.sleep(0.1)


if __name__ == "__main__":
    main()
