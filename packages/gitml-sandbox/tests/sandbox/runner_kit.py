"""A running sandbox with a runner, and words for what tests do with it."""

from __future__ import annotations

import json
import sqlite3
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from gitml_sandbox.actions import joblog
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.forge.repos import Repo
from sandbox import description
from sandbox.forge_kit import Kit, git

# Whom to trust takes 10 ms to read, and these sandboxes are asked without TLS.
_UNREAD = httpx.create_ssl_context(verify=False)

PATIENCE = 30.0


def workflow(text: str) -> str:
    return textwrap.dedent(text).lstrip()


class Clock:
    """The real time, turned forwards by as much as tests say."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def turn(self, **by: float) -> None:
        self._ahead += timedelta(**by)


@dataclass(frozen=True)
class Works:
    """A repository with a clone, in a sandbox whose runner runs."""

    kit: Kit
    runner: Runner
    repo: Repo
    clone: Path

    def push(self, files: dict[str, str], *, branch: str = "main", message: str = "change", token: str = "ada") -> str:
        """Commit files on a branch and push it. Returns the commit."""
        for name, text in files.items():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / name).write_text(text)
            git(self.clone, "add", "--", name)
        git(self.clone, "commit", "-q", "--allow-empty", "-m", message)
        git(self.clone, "push", "-q", self.kit.remote(self.repo, token), f"HEAD:refs/heads/{branch}")
        return git(self.clone, "rev-parse", "HEAD").strip()

    def flow(self, text: str, name: str = "ci", **how: Any) -> str:
        return self.push({f".github/workflows/{name}.yml": workflow(text)}, **how)

    def query(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self.kit.sandbox.store.read() as tx:
            return tx.execute(sql, values).fetchall()

    def runs(self, event: str | None = None) -> list[sqlite3.Row]:
        sql = "SELECT runs.*, workflows.path FROM runs JOIN workflows ON workflows.id = workflow_id"
        rows = self.query(f"{sql} WHERE runs.repo_id = ? ORDER BY runs.id", self.repo.id)
        return [r for r in rows if event in {None, r["event"]}]

    def jobs(self, run: sqlite3.Row) -> dict[str, sqlite3.Row]:
        found = self.query("SELECT * FROM jobs WHERE run_id = ? ORDER BY id", run["id"])
        return {row["name"]: row for row in found}

    def until(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until a question has an answer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(0.02)
        raise AssertionError(f"nothing within {seconds} s; runs: {[dict(r) for r in self.runs()]}")

    def done(self, event: str | None = None, count: int = 1) -> list[sqlite3.Row]:
        """The runs, once there are `count` of them and all are completed."""

        def all_done() -> list[sqlite3.Row]:
            rows = self.runs(event)
            return rows if len(rows) >= count and all(r["status"] == "completed" for r in rows) else []

        rows: list[sqlite3.Row] = self.until(all_done)
        return rows

    def settled(self) -> None:
        """Every event has been judged and every run is over."""
        self.until(
            lambda: (
                not self.query("SELECT 1 FROM events WHERE handled_at IS NULL")
                and not self.query("SELECT 1 FROM runs WHERE status <> 'completed' AND repo_id = ?", self.repo.id)
            )
        )

    def log(self, job: sqlite3.Row) -> str:
        return joblog.path(self.kit.sandbox.root, job["run_id"], job["id"]).read_text()

    def statuses(self, sha: str) -> dict[str, str]:
        rows = self.query(
            "SELECT context, state FROM statuses WHERE repo_id = ? AND sha = ? ORDER BY id", self.repo.id, sha
        )
        return {row["context"]: row["state"] for row in rows}

    def description(self, sha: str, context: str) -> str:
        rows = self.query(
            "SELECT description FROM statuses WHERE repo_id = ? AND sha = ? AND context = ? ORDER BY id DESC",
            self.repo.id,
            sha,
            context,
        )
        return str(rows[0]["description"]) if rows else ""

    def api(
        self, method: str, path: str, body: Any = None, *, token: str = "ada", checked: bool = False
    ) -> httpx.Response:
        """A call of REST below the repository; `checked` judges the answer by GitHub's description."""
        url = f"{self.kit.url}/api/v3/repos/{self.repo.full_name}{path}"
        headers = {"Authorization": f"token {self.kit.token.get(token, token)}"}
        response = httpx.request(method, url, json=body, headers=headers, timeout=30, verify=_UNREAD)
        return description.check(response) if checked else response

    def pull(self, branch: str, *, base: str = "main", head: str = "", token: str = "ada") -> dict[str, Any]:
        """Open a pull request."""
        body = {"title": f"from {branch}", "head": head or branch, "base": base}
        response = self.api("POST", "/pulls", body, token=token)
        assert response.status_code == 201, response.text
        return dict(response.json())

    def only(self, event: str | None = None) -> dict[str, sqlite3.Row]:
        """The jobs of the one run there is, once it is over."""
        (run,) = self.done(event)
        return self.jobs(run)

    def outputs(self, job: sqlite3.Row) -> dict[str, str]:
        return dict(json.loads(job["outputs"]))


def works(kit: Kit, runner: Runner, folder: Path) -> Works:
    repo, clone = kit.seeded(folder)
    return Works(kit, runner, repo, clone)
