"""What the events of one pull request cost the sandbox: how many runs start, and how long their jobs wait for a place.

    python -m benchmarks.sandbox_queue

The workflows are this repository's own, each job with a `sleep` for its steps. A branch is pushed, a pull request
opened, two people review it, and two more commits are pushed. JSON: for each workflow the runs by their end, and the
seconds that its jobs waited and took.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from benchmarks.timing import git
from gitml_sandbox.forge import repos, tokens, users
from gitml_sandbox.server.serve import Options, serving

WORKFLOWS = Path(__file__).parents[1] / ".github/workflows"
NAMES = ("gate", "main", "ready", "review", "train")
# Seconds of a job, by the beginning of its key: what gitml's own take in the sandbox of the starter application.
SECONDS = {"train": 8, "finish": 4, "gate": 4, "verify": 6, "record": 4, "dispatch": 2, "listen": 0}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "state", Options(port=0)) as box:
        with box.sandbox.store.write() as tx:
            people = {name: users.add(tx, name) for name in ("bench", "olga", "rita")}
            keys = {name: tokens.mint(tx, user_id=who.id, kind="user") for name, who in people.items()}
        repo = repos.create(box.sandbox, people["bench"].id, "queue")
        with box.sandbox.store.write() as tx:
            for name in ("olga", "rita"):
                repos.set_collaborator(tx, repo.id, people[name].id, "write")
        api = Api(box.address.url, repo.full_name, keys)
        remote = box.address.url.replace("://", f"://x:{keys['bench']}@") + f"/{repo.full_name}.git"
        begun = events(Path(folder) / "clone", remote, api)
        rows = [row for row in api.settled() if row["run"]["id"] > begun]
        print(json.dumps({"jobs_at_once": at_once(rows), **shown(rows)}, indent=2))


class Api:
    """Calls as one of the people."""

    def __init__(self, url: str, repo: str, keys: dict[str, str]) -> None:
        self.url, self.keys = f"{url}/api/v3/repos/{repo}/", keys

    def __call__(self, who: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def settled(self) -> list[dict[str, Any]]:
        """Every job, once nothing has happened for two seconds."""
        quiet = 0
        while quiet < 10:
            runs = self("bench", "GET", "actions/runs?per_page=100")["workflow_runs"]
            quiet = quiet + 1 if runs and all(r["status"] == "completed" for r in runs) else 0
            time.sleep(0.2)
        found = []
        for run in runs:
            jobs = self("bench", "GET", f"actions/runs/{run['id']}/jobs")["jobs"]
            found += [{**job, "workflow": run["name"], "run": run} for job in jobs]
        return found


def events(clone: Path, remote: str, api: Api) -> int:
    """What people do. Returns the last run before that."""
    (clone / ".github/workflows").mkdir(parents=True)
    for name in NAMES:
        (clone / f".github/workflows/gitml-{name}.yml").write_text(json.dumps(slept(name)))
    git(clone, "init", "-q", "-b", "main")
    commit(clone, remote, "main")
    before = max(row["run"]["id"] for row in api.settled())
    commit(clone, remote, "work")
    pull = api("bench", "POST", "pulls", {"title": "Work", "head": "work", "base": "main"})["number"]
    for who in ("olga", "rita"):
        api(who, "POST", f"pulls/{pull}/reviews", {"event": "APPROVE", "body": "fine"})
    time.sleep(2)
    for _ in range(2):
        commit(clone, remote, "work")
    return before


def commit(clone: Path, remote: str, branch: str) -> None:
    (clone / "file").write_text(str(time.monotonic()))
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "change")
    git(clone, "push", "-q", remote, f"HEAD:refs/heads/{branch}")


def slept(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = YAML(typ="safe").load((WORKFLOWS / f"gitml-{name}.yml").read_text())
    for key, job in workflow["jobs"].items():
        seconds = next((s for word, s in SECONDS.items() if key.startswith(word)), 1)
        job |= {"steps": [{"run": f"sleep {seconds}"}], "runs-on": "ubuntu-latest"}
        job.pop("outputs", None)
        job.pop("environment", None)
    return workflow


def shown(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for workflow in sorted({job["workflow"] for job in jobs}):
        mine = [job for job in jobs if job["workflow"] == workflow]
        ran = [job for job in mine if job["runner_name"]]
        runs = {job["run"]["id"]: job["run"]["conclusion"] for job in mine}
        found[workflow] = {
            "runs": dict(Counter(runs.values())),
            "jobs_run": len(ran),
            "waited_s": [span(job, "created_at", "started_at") for job in ran],
            "took_s": [span(job, "started_at", "completed_at") for job in ran],
        }
    return found


def at_once(jobs: list[dict[str, Any]]) -> int:
    ran = [job for job in jobs if job["runner_name"]]
    return max(sum(o["started_at"] <= job["started_at"] < o["completed_at"] for o in ran) for job in ran)


def span(job: dict[str, Any], begin: str, end: str) -> int:
    return round(at(job[end]) - at(job[begin]))


def at(moment: str) -> float:
    return time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))


if __name__ == "__main__":
    main()
