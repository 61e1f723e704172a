"""Events become runs: each event is judged once, and its runs and `handled_at` are written together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from gitml_sandbox.actions import runs
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.repofacts import Cache, RepoFacts
from gitml_sandbox.actions.triggers import Decision, Event, decide
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge import repos
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

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
    judged = judge(event, facts)
    messages = {d.place.sha: _message(facts, d) for _, d in judged if d.starts}
    with sandbox.store.write() as tx:
        taken = tx.execute(
            "UPDATE events SET handled_at = ? WHERE id = ? AND handled_at IS NULL", (sandbox.now(), row["id"])
        )
        if taken.rowcount == 0:
            return 0
        return _start(tx, sandbox, repo, row, judged, messages)


def give_up(sandbox: Sandbox, row: sqlite3.Row, reason: str) -> None:
    """Put an event aside that cannot be judged, with the reason."""
    with sandbox.store.write() as tx:
        tx.execute("UPDATE events SET handled_at = ? WHERE id = ?", (sandbox.now(), row["id"]))
        _note(tx, row["id"], "", row["name"], reason)


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


def _start(
    tx: sqlite3.Connection,
    sandbox: Sandbox,
    repo: Repo,
    row: sqlite3.Row,
    judged: Sequence[tuple[Event, Decision]],
    messages: dict[str, str],
) -> int:
    started = 0
    for event, decision in judged:
        if not decision.starts:
            _note(tx, row["id"], decision.workflow.path, event.name, decision.reason)
            continue
        cause = runs.Cause(row["id"], row["actor_id"] or repo.owner_id, messages.get(decision.place.sha, ""))
        runs.create(tx, sandbox, repo, event, decision, cause)
        started += 1
    return started


def _note(tx: sqlite3.Connection, event_id: int, path: str, event: str, reason: str) -> None:
    tx.execute("INSERT INTO not_started VALUES (?, ?, ?, ?)", (event_id, path, event, reason[:1000]))


def why_not_started(tx: sqlite3.Connection, repo_id: int, limit: int = 50) -> list[sqlite3.Row]:
    """The newest workflows that listened to an event and did not start, with the reason."""
    return tx.execute(
        "SELECT not_started.*, events.ref, events.sha, events.created_at FROM not_started"
        " JOIN events ON events.id = event_id WHERE repo_id = ? ORDER BY event_id DESC LIMIT ?",
        (repo_id, limit),
    ).fetchall()
