"""What a moved ref does to pull requests: new heads, stale approvals, merges, closed branches."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gitml_sandbox.changes import announce
from gitml_sandbox.changes.refs import Move
from gitml_sandbox.forge import issues, protections, pulls, repos, reviews
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.git import reading as git
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO

HEADS = "refs/heads/"


def follow(sandbox: Sandbox, tx: sqlite3.Connection, move: Move) -> None:
    """To be called for each moved ref in the transaction that records it."""
    if not move.change.ref.startswith(HEADS):
        return
    view = View(sandbox, tx, move.actor.id)
    by = Actor(move.actor, move.token_kind)
    branch = move.change.ref.removeprefix(HEADS)
    for pull in pulls.open_with_base(tx, move.repo.id, branch):
        _base_moved(view, pull, move, by)
    for pull in pulls.open_with_head(tx, move.repo.id, branch):
        if move.change.new == ZERO:
            _close(view, pull, by)
        else:
            _head_moved(view, pull, move.change.new, by)


def _base_moved(view: View, pull: Pull, move: Move, by: Actor) -> None:
    new = move.change.new
    if new == ZERO:
        _close(view, pull, by)
        return
    asked = move.data.get("merge") or {}
    bare = repos.path(view.sandbox, move.repo)
    if asked.get("pull") == pull.id:
        _merged(view, pull, move, by, commit=new)
    elif gitrepo.is_ancestor(bare, pull.head_sha, new):
        # Its commits reached the base some other way: GitHub calls that merged, too.
        _merged(view, pull, move, by, commit=pull.head_sha)
    else:
        view.tx.execute("UPDATE pulls SET mergeable = NULL WHERE id = ?", (pull.id,))


def _merged(view: View, pull: Pull, move: Move, by: Actor, *, commit: str) -> None:
    now = view.sandbox.now()
    base = move.change.old
    view.tx.execute(
        "UPDATE pulls SET merged_at = ?, merged_by = ?, merge_commit_sha = ?, base_sha = ?, mergeable = NULL"
        " WHERE id = ?",
        (now, by.user.id, commit, base if base != ZERO else pull.base_sha, pull.id),
    )
    closed = pulls.close(view.tx, pull, by=by, now=now)
    gitrepo.git(repos.path(view.sandbox, move.repo), "update-ref", "-d", pull.merge_name, check=False)
    announce.pull(view, closed, "closed", by)


def _close(view: View, pull: Pull, by: Actor) -> None:
    closed = pulls.close(view.tx, pull, by=by, now=view.sandbox.now())
    announce.pull(view, closed, "closed", by)


def _head_moved(view: View, pull: Pull, new: str, by: Actor) -> None:
    """Take the new head, let reviews go stale, then say so: whoever hears it finds everything in place."""
    repo = repos.by_id(view.tx, pull.repo_id)
    head_repo = repos.by_id(view.tx, pull.head_repo_id or repo.id)
    old, bare = pull.head_sha, repos.path(view.sandbox, repo)
    if old == new:
        return
    pulls.bring_head(view.sandbox, repo, head_repo, new, pull.head_name)
    base = gitrepo.ref_sha(bare, f"{HEADS}{pull.base_ref}") or pull.base_sha
    same = _same(bare, base, old, new)
    view.tx.execute(
        "UPDATE pulls SET head_sha = ?, base_sha = ?, last_pusher = ? WHERE id = ?",
        (new, base, pull.last_pusher if same else by.user.id, pull.id),
    )
    issues.touch(view.tx, pull.id, view.sandbox.now())
    moved = pulls.compute(view.sandbox, view.tx, pulls.by_id(view.tx, pull.id))
    if same:
        reviews.carry_over(view.tx, pull, old, new)
    else:
        _dismiss_stale(view, moved, by, f"the head moved to {moved.head_sha[:7]}")
    if gitrepo.is_ancestor(bare, new, base):
        # Nothing is left to merge (a reset to the base): GitHub closes it.
        _close(view, moved, by)
        return
    announce.pull(view, moved, "synchronize", by, before=old, after=new)


def base_changed(view: View, before: Pull, pull: Pull, by: Actor) -> None:
    """Approvals go stale when the new base makes another difference of the same head: nobody has seen that one."""
    bare = repos.path(view.sandbox, repos.by_id(view.tx, pull.repo_id))
    old = gitrepo.ref_sha(bare, f"{HEADS}{before.base_ref}") or before.base_sha
    starts = [gitrepo.merge_base(bare, base, pull.head_sha) or git.EMPTY_TREE for base in (old, pull.base_sha)]
    if not git.same_changes(bare, (starts[0], pull.head_sha), (starts[1], pull.head_sha)):
        _dismiss_stale(view, pull, by, f"the base changed to {pull.base_ref}")
        reviews.speak_for_nothing(view.tx, pull)


def _same(bare: Path, base: str, old: str, new: str) -> bool:
    """Whether both heads change the base in the same way: a merge of the base into the head, for example."""
    sides = [(gitrepo.merge_base(bare, base, head) or git.EMPTY_TREE, head) for head in (old, new)]
    return git.same_changes(bare, sides[0], sides[1])


def _dismiss_stale(view: View, pull: Pull, by: Actor, words: str) -> None:
    rule = protections.find(view.tx, pull.repo_id, pull.base_ref)
    wanted = rule.required_pull_request_reviews if rule else None
    if wanted is None or not wanted.dismiss_stale_reviews:
        return
    for row in reviews.listing(view.tx, pull.id):
        if row["state"] == "APPROVED":
            gone = reviews.dismiss(view.tx, row, message=words, by=by, now=view.sandbox.now())
            announce.review(view, pull, gone, "dismissed", by)
