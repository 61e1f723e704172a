"""Events become runs: each event is judged once, and its runs and `handled_at` are written together."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from gitml_sandbox.actions import runs
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.repofacts import Cache, RepoFacts
from gitml_sandbox.actions.triggers import Decision, Event, decide
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge import repos
from gitml_sandbox.forge.context import Sandbox

# One webhook on GitHub, two events for workflows.
_ALSO = {"pull_request": "pull_request_target"}


def pending(sandbox: Sandbox) -> list[sqlite3.Row]:
    """Events that nobody has looked at, oldest first."""
    with sandbox.store.read() as tx:
        return tx.execute("SELECT * FROM events WHERE handled_at IS NULL ORDER BY id LIMIT 200").fetchall()


def handle(sandbox: Sandbox, row: sqlite3.Row, cache: Cache) -> int:
    """Judge one event and start what it starts. Returns the number of runs."""
    with sandbox.store.read() as tx:
        repo = repos.by_id(tx, row["repo_id"])
        event = _event(tx, row)
    facts = RepoFacts(sandbox, repo, cache)
    starting = [(e, d) for e, d in judge(event, facts) if d.starts]
    messages = {d.place.sha: _message(facts, d) for _, d in starting}
    with sandbox.store.write() as tx:
        taken = tx.execute(
            "UPDATE events SET handled_at = ? WHERE id = ? AND handled_at IS NULL", (sandbox.now(), row["id"])
        )
        if taken.rowcount == 0:
            return 0
        for each, decision in starting:
            cause = runs.Cause(row["id"], row["actor_id"] or repo.owner_id, messages[decision.place.sha])
            runs.create(tx, sandbox, repo, each, decision, cause)
    return len(starting)


def give_up(sandbox: Sandbox, row: sqlite3.Row) -> None:
    """Put an event aside that cannot be judged."""
    with sandbox.store.write() as tx:
        tx.execute("UPDATE events SET handled_at = ? WHERE id = ?", (sandbox.now(), row["id"]))


def _event(tx: sqlite3.Connection, row: sqlite3.Row) -> Event:
    payload = json.loads(row["payload"])
    chain = 0
    if row["name"] == "workflow_run":
        before = runs_store.run_row(tx, payload["workflow_run"]["id"])
        chain = before["chain"] if before else 0
    return Event(row["name"], row["action"], payload, row["token_kind"], row["ref"], row["sha"], chain)


def judge(event: Event, facts: RepoFacts) -> list[tuple[Event, Decision]]:
    """The decisions for an event and for the one that GitHub derives from it."""
    named = [event]
    if event.name in _ALSO:
        named.append(replace(event, name=_ALSO[event.name]))
    return [(e, d) for e in named for d in decide(e, facts)]


def _message(facts: RepoFacts, decision: Decision) -> str:
    try:
        return facts.message(decision.place.sha)
    except SandboxError:
        return ""
