"""The one way to change a ref, and the journal that keeps Git and the database agreeing through any kill.

First the intent is committed to the journal, then Git moves the ref, then one transaction records the new value,
emits the events, lets pull requests follow, and removes the intent. Killed before Git moved: the intent is dropped.
Killed after: the next start, or the next change, finds that the ref is where the intent wanted it, and finishes.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.changes import payloads
from gitml_sandbox.errors import OutsideError
from gitml_sandbox.forge import events, push_policy, repos, users
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO, Change

SCHEMA = """
CREATE TABLE IF NOT EXISTS refs (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    ref TEXT NOT NULL,
    sha TEXT NOT NULL,
    PRIMARY KEY (repo_id, ref)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ref_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    actor_id INTEGER NOT NULL REFERENCES users(id),
    token_kind TEXT NOT NULL,
    changes TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
"""

# Refs that pull requests derive from others: not journaled, not compared.
DERIVED = "refs/pull/"
TAGS = "refs/tags/"
# GitHub's rule: more tags than this in one push make no events.
# https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#push
MOST_TAGS = 3

_log = logging.getLogger(__name__)


class MovedError(OutsideError):
    """A ref is not where the caller thought: look again and retry."""


@dataclass(frozen=True)
class Move:
    """A ref that moved, by whom, and what the caller of ``update`` wanted remembered with it."""

    repo: Repo
    change: Change
    actor: users.User
    token_kind: str
    data: Mapping[str, Any]


# What follows a moved ref, in the same transaction: pull requests take new heads, reviews go stale.
Follower = Callable[[Sandbox, sqlite3.Connection, Move], None]


def update(
    sandbox: Sandbox,
    repo: Repo,
    changes: Sequence[Change],
    actor: Actor,
    *,
    data: Mapping[str, Any] | None = None,
    check: Callable[[sqlite3.Connection], None] | None = None,
) -> None:
    """Move refs from inside (a merge, the contents API): all or none, each only from its ``old``.

    ``check`` runs in the transaction that writes the intent and raises to refuse; without one, the rules for pushes
    are applied. ``data`` (JSON) reaches the followers even when we are killed in between. Not inside a transaction.
    Raises MovedError when a ref is elsewhere.
    """
    judge = check or push_policy.checker(sandbox, repo, changes, actor)
    with sandbox.locks.of(repo.id):
        settle(sandbox, repo)
        with sandbox.store.write() as tx:
            judge(tx)
            intend(tx, repo, changes, actor, data or {})
        try:
            gitrepo.update_refs(repos.path(sandbox, repo), changes)
        except OutsideError as exc:
            raise MovedError(f"the ref has moved meanwhile: {exc.message}", "read it again and retry") from exc
        finally:
            settle(sandbox, repo)


def intend(
    tx: sqlite3.Connection, repo: Repo, changes: Sequence[Change], actor: Actor, data: Mapping[str, Any]
) -> None:
    """Write to the journal what Git is about to do."""
    rows = json.dumps([[c.ref, c.old, c.new] for c in changes])
    tx.execute(
        "INSERT INTO ref_journal (repo_id, actor_id, token_kind, changes, data) VALUES (?, ?, ?, ?, ?)",
        (repo.id, actor.user.id, actor.token_kind, rows, json.dumps(dict(data))),
    )


def settle(sandbox: Sandbox, repo: Repo) -> list[Move]:
    """Make the database say what Git says: record each moved ref, emit its events, empty the journal.

    Call it under the lock of the repository. A ref that moved without an intent (somebody worked on the files) is
    recorded as done by the owner.
    """
    with sandbox.store.read() as tx:
        intents = tx.execute("SELECT * FROM ref_journal WHERE repo_id = ? ORDER BY id", (repo.id,)).fetchall()
        before = stored(tx, repo.id)
    now = current(sandbox, repo)
    if before == now and not intents:
        return []
    with sandbox.store.read() as tx:
        moves = _attribute(tx, repo, (before, now), intents)
    quiet = sum(m.change.ref.startswith(TAGS) for m in moves) > MOST_TAGS
    ready = [(m, [] if quiet and m.change.ref.startswith(TAGS) else _events(sandbox, m)) for m in moves]
    with sandbox.store.write() as tx:
        _adopt_default_branch(sandbox, tx, repo, (before, now))
        for move, events in ready:
            _record(tx, move)
            _emit(tx, move, events)
        for move, _ in ready:
            for follower in sandbox.followers:
                follower(sandbox, tx, move)
        tx.execute("DELETE FROM ref_journal WHERE repo_id = ?", (repo.id,))
    return moves


def _events(sandbox: Sandbox, move: Move) -> list[tuple[str, dict[str, Any]]]:
    return payloads.for_move(sandbox, move.repo, move.change, move.actor)


def settle_all(sandbox: Sandbox) -> int:
    """At start: settle every repository. Returns how many refs had moved unseen."""
    with sandbox.store.read() as tx:
        known = repos.listing(tx, everything=True)
    count = 0
    for repo in known:
        with sandbox.locks.of(repo.id):
            try:
                gitrepo.set_head(repos.path(sandbox, repo), repo.default_branch)
                count += len(settle(sandbox, repo))
            except OutsideError as exc:
                # Pushes to this one fail with the same words; the others need not suffer.
                _log.warning("%s cannot be read: %s", repo.full_name, exc.message)
    return count


def stored(tx: sqlite3.Connection, repo_id: int) -> dict[str, str]:
    """The refs as the database last saw them, without refs/pull/."""
    rows = tx.execute("SELECT ref, sha FROM refs WHERE repo_id = ? ORDER BY ref", (repo_id,))
    return {row["ref"]: row["sha"] for row in rows}


def current(sandbox: Sandbox, repo: Repo) -> dict[str, str]:
    """The same from Git."""
    listed = gitrepo.all_refs(repos.path(sandbox, repo))
    return {ref: sha for ref, sha in listed.items() if not ref.startswith(DERIVED)}


def _attribute(
    tx: sqlite3.Connection,
    repo: Repo,
    states: tuple[Mapping[str, str], Mapping[str, str]],
    intents: Sequence[sqlite3.Row],
) -> list[Move]:
    before, now = states
    moved = {
        ref: Change(ref, before.get(ref, ZERO), now.get(ref, ZERO))
        for ref in sorted({*before, *now})
        if before.get(ref) != now.get(ref)
    }
    found = []
    for row in intents:
        for ref, _, new in json.loads(row["changes"]):
            if ref in moved and moved[ref].new == new:
                by = users.by_id(tx, row["actor_id"])
                found.append(Move(repo, moved.pop(ref), by, row["token_kind"], json.loads(row["data"])))
    owner = users.by_id(tx, repo.owner_id)
    return found + [Move(repo, change, owner, "user", {}) for change in moved.values()]


def _record(tx: sqlite3.Connection, move: Move) -> None:
    repo_id, change = move.repo.id, move.change
    tx.execute("DELETE FROM refs WHERE repo_id = ? AND ref = ?", (repo_id, change.ref))
    if change.new != ZERO:
        tx.execute("INSERT INTO refs VALUES (?, ?, ?)", (repo_id, change.ref, change.new))
    tx.execute("UPDATE repos SET pushed_at = forge_now() WHERE id = ?", (repo_id,))


def _emit(tx: sqlite3.Connection, move: Move, ready: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    for name, payload in ready:
        events.emit(
            tx,
            repo_id=move.repo.id,
            name=name,
            actor_id=move.actor.id,
            token_kind=move.token_kind,
            ref=move.change.ref,
            sha=move.change.new,
            pull_id=(move.data.get("merge") or {}).get("pull"),
            payload=payload,
        )


def _adopt_default_branch(
    sandbox: Sandbox, tx: sqlite3.Connection, repo: Repo, states: tuple[Mapping[str, str], Mapping[str, str]]
) -> None:
    """The first branch pushed to an empty repository becomes its default, as on GitHub."""
    before, now = states
    heads = [ref for ref in now if ref.startswith("refs/heads/")]
    if (
        heads
        and f"refs/heads/{repo.default_branch}" not in heads
        and not any(r.startswith("refs/heads/") for r in before)
    ):
        repos.set_default_branch(sandbox, tx, repo, heads[0].removeprefix("refs/heads/"))
