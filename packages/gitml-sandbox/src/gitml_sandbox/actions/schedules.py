"""Schedules: cron lines of the default branch, by the sandbox's clock, in UTC, as GitHub keeps them.

https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule

GitHub makes up for no missed run: what fell due while the sandbox was down is lost, and a clock that jumps
over several
times of one line starts one run. Times closer than five minutes to the last one are left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from gitml_sandbox.actions.cronline import due
from gitml_sandbox.actions.repofacts import RepoFacts
from gitml_sandbox.actions.workflows import Workflow
from gitml_sandbox.clock import iso
from gitml_sandbox.forge import events
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

SHORTEST = timedelta(minutes=5)


def lines(facts: RepoFacts) -> Iterable[tuple[str, str]]:
    """(path, cron line) of every schedule on the default branch."""
    head = facts.resolve(f"refs/heads/{facts.default_branch}")
    for workflow in facts.workflows(head) if head else ():
        if isinstance(workflow, Workflow) and "schedule" in workflow.on:
            yield from ((workflow.path, line) for line in workflow.on["schedule"].crons)


def forget_missed(tx: sqlite3.Connection, now: datetime) -> None:
    """Called when the sandbox starts."""
    tx.execute("UPDATE schedules SET seen_until = ? WHERE seen_until < ?", (iso(now), iso(now)))


def tick(sandbox: Sandbox, repo: Repo, facts: RepoFacts) -> int:
    """Emit a schedule event for each cron line that has fallen due. Returns how many."""
    now = sandbox.clock().astimezone(UTC)
    wanted = list(lines(facts))
    with sandbox.store.read() as tx:
        rows = tx.execute("SELECT path, cron, seen_until FROM schedules WHERE repo_id = ?", (repo.id,)).fetchall()
    seen = {(row["path"], row["cron"]): row["seen_until"] for row in rows}
    fallen = [
        (path, line, due(line, _since(seen[path, line], now), now)) for path, line in wanted if (path, line) in seen
    ]
    fired = [(path, line, at) for path, line, at in fallen if at is not None]
    if not fired and seen.keys() == set(wanted):
        return 0
    with sandbox.store.write() as tx:
        for path, line in seen.keys() - set(wanted):
            tx.execute("DELETE FROM schedules WHERE repo_id = ? AND path = ? AND cron = ?", (repo.id, path, line))
        for path, line in set(wanted) - seen.keys():
            tx.execute("INSERT INTO schedules VALUES (?, ?, ?, ?)", (repo.id, path, line, iso(now)))
        for path, line, at in fired:
            _fire(tx, repo, path, line, at, now)
    return len(fired)


def _since(text: str, now: datetime) -> datetime:
    """What was looked at up to a moment ahead of now is of a clock that was turned back since."""
    seen = datetime.fromisoformat(text)
    return seen if seen <= now + SHORTEST else now - timedelta(minutes=1)


def _fire(tx: sqlite3.Connection, repo: Repo, path: str, line: str, at: datetime, now: datetime) -> None:
    until = max(now, at + SHORTEST - timedelta(seconds=1))
    tx.execute(
        "UPDATE schedules SET seen_until = ? WHERE repo_id = ? AND path = ? AND cron = ?",
        (iso(until), repo.id, path, line),
    )
    events.emit(
        tx,
        repo_id=repo.id,
        name="schedule",
        actor_id=repo.owner_id,
        token_kind="app",  # noqa: S106 - a kind of token, not one
        ref=f"refs/heads/{repo.default_branch}",
        payload={"schedule": line, "workflow": path},
    )
