"""How long a trivial workflow takes from `git push` to its finished status, in a sandbox of its own.

    python benchmarks/sandbox_run.py [ROUNDS]

Prints one line of JSON: seconds for the push itself, from its start to the finished status, and for act alone.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.forge import repos, tokens, users
from gitml_sandbox.server.serve import Options, serving

WORKFLOW = "name: CI\non: push\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: echo hello}]}\n"
BUDGET = 1.5


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def measure(folder: Path, rounds: int) -> dict[str, object]:
    with serving(folder / "state", Options(port=0, runner=False)) as running:
        sandbox = running.sandbox
        with sandbox.store.write() as tx:
            owner = users.add(tx, "bench")
            token = tokens.mint(tx, user_id=owner.id, kind="user")
        repo = repos.create(sandbox, owner.id, "trivial")
        runner = Runner(sandbox)
        runner.start()
        try:
            url = running.address.url.replace("://", f"://x:{token}@") + f"/{repo.full_name}.git"
            clone = folder / "clone"
            clone.mkdir()
            git(clone, "init", "-q", "-b", "main")
            (clone / ".github/workflows").mkdir(parents=True)
            (clone / ".github/workflows/ci.yml").write_text(WORKFLOW)
            git(clone, "add", ".")
            results = [one(sandbox.store, clone, url, repo.id) for _ in range(rounds + 1)][1:]
        finally:
            runner.stop()
    pushes, totals = zip(*results, strict=True)
    return {
        "rounds": rounds,
        "push_s": round(statistics.median(pushes), 3),
        "push_to_status_median_s": round(statistics.median(totals), 3),
        "push_to_status_worst_s": round(max(totals), 3),
        "budget_s": BUDGET,
    }


def one(store: object, clone: Path, url: str, repo_id: int) -> tuple[float, float]:
    git(clone, "commit", "-q", "--allow-empty", "-m", "round")
    sha = git(clone, "rev-parse", "HEAD")
    began = time.monotonic()
    git(clone, "push", "-q", url, "HEAD:main")
    pushed = time.monotonic()
    while not finished(store, repo_id, sha):
        if time.monotonic() - began > 60:
            sys.exit("no finished status within a minute")
        time.sleep(0.005)
    return pushed - began, time.monotonic() - began


def finished(store: object, repo_id: int, sha: str) -> bool:
    with store.read() as tx:  # type: ignore[attr-defined]
        sql = "SELECT 1 FROM statuses WHERE repo_id = ? AND sha = ? AND state = 'success'"
        return tx.execute(sql, (repo_id, sha)).fetchone() is not None


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), rounds)
    print(json.dumps(found))
    sys.exit(0 if float(str(found["push_to_status_median_s"])) <= BUDGET else 1)


if __name__ == "__main__":
    main()
