"""After the process ended while jobs ran: they fail with a reason, their processes and tokens end, the rest
goes on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping

from gitml_sandbox.actions import act, jobfolder, queue
from gitml_sandbox.actions import schedules as cron
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.execution import RUNTIME_PREFIX
from gitml_sandbox.forge import repos
from gitml_sandbox.forge.context import Sandbox

STOPPED = "the sandbox was stopped while the job ran"
RESTARTED = "the sandbox ended while the job ran, and was started again"


def recover(sandbox: Sandbox, machines: Mapping[str, Collection[str]]) -> int:
    """Fail what was running. Queued jobs stay queued. Returns how many failed."""
    with sandbox.store.write() as tx:
        cron.forget_missed(tx, sandbox.clock())
        tx.execute("INSERT OR REPLACE INTO meta VALUES ('machines', ?)", (json.dumps(_plain(machines)),))
        lost = tx.execute("SELECT * FROM jobs WHERE status = 'in_progress' AND runner <> ''").fetchall()
        for row in lost:
            _fail(tx, sandbox, row)
    for row in lost:
        act.end_marked(act.mark_of(sandbox.root, row["run_id"], row["id"]))
    for folder in (sandbox.root / "tmp").glob("job-*"):
        jobfolder.remove(folder)
    jobfolder.pythons(sandbox.root).unlink(missing_ok=True)
    return len(lost)


def _fail(tx: sqlite3.Connection, sandbox: Sandbox, row: sqlite3.Row) -> None:
    run = runs_store.run_row(tx, row["run_id"])
    assert run is not None
    repo = repos.by_id(tx, run["repo_id"])
    revoke(tx, row["id"])
    queue.complete(queue.turn_of(tx, sandbox, repo, run), row, "failure", RESTARTED)


def revoke(tx: sqlite3.Connection, job_id: int) -> None:
    """End the tokens of a job."""
    tx.execute(
        "UPDATE tokens SET revoked_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
        " WHERE kind = 'job' AND name IN (?, ?) AND revoked_at IS NULL",
        (f"job {job_id}", f"{RUNTIME_PREFIX}{job_id}"),
    )


def _plain(machines: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    return {name: sorted(has) for name, has in machines.items()}


def machines(tx: sqlite3.Connection) -> dict[str, list[str]]:
    """The machines of the runner that was started last, with their labels."""
    row = tx.execute("SELECT value FROM meta WHERE key = 'machines'").fetchone()
    return dict(json.loads(row["value"])) if row else {}
