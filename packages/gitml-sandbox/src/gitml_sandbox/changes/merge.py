"""The one way to merge a pull request: REST, the web page and machines all come through ``merge``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitml_sandbox.changes import refs
from gitml_sandbox.forge import access, judging, pulls, push_policy, repos, users
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import RefusalError, forbidden
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git import writing as gitwrite
from gitml_sandbox.git.reading import Signature
from gitml_sandbox.git.repository import ZERO, Change

METHODS = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
_NOT_ALLOWED = {
    "merge": "Merge commits are not allowed on this repository.",
    "squash": "Squash merges are not allowed on this repository.",
    "rebase": "Rebase merges are not allowed on this repository.",
}
HEAD_MOVED = "Head branch was modified. Review and try the merge again."
BASE_MOVED = "Base branch was modified. Review and try the merge again."


@dataclass(frozen=True)
class Order:
    """How to merge. ``sha``: the head that was reviewed, or None; texts None: GitHub's defaults."""

    method: str = "merge"
    sha: str | None = None
    title: str | None = None
    message: str | None = None


def merge(sandbox: Sandbox, repo: Repo, number: int, by: Actor, order: Order | None = None) -> str:
    """Merge and return the new tip of the base. Not inside a transaction.

    Raises RefusalError: 405 with every reason, 409 when the head is not ``sha`` or a side moved meanwhile.
    """
    wanted = order or Order()
    with sandbox.locks.of(repo.id):
        with sandbox.store.write() as tx:
            pull = pulls.get(tx, repo.id, number)
            if pull.state == "open":
                pull = pulls.compute(sandbox, tx, pull)
        with sandbox.store.read() as tx:
            view = View(sandbox, tx, by.user.id)
            _check(view, repo, pull, by, wanted)
            maker = _maker(view, repo, pull, by, wanted)
        old, new = maker()
        _move(sandbox, repo, pull, by, wanted, Change(f"refs/heads/{pull.base_ref}", old, new))
        _delete_head(sandbox, repo, pull, by)
    return new


def _move(sandbox: Sandbox, repo: Repo, pull: Pull, by: Actor, order: Order, change: Change) -> None:
    """Compare-and-swap the base. Everything is judged again in the transaction that writes the intent."""

    def recheck(tx: sqlite3.Connection) -> None:
        fresh = pulls.by_id(tx, pull.id)
        if fresh.head_sha != pull.head_sha:
            raise RefusalError(409, HEAD_MOVED)
        _check(View(sandbox, tx, by.user.id), repo, fresh, by, order)

    try:
        refs.update(
            sandbox, repo, [change], by, data={"merge": {"pull": pull.id, "method": order.method}}, check=recheck
        )
    except refs.MovedError as exc:
        raise RefusalError(409, BASE_MOVED) from exc


def _check(view: View, repo: Repo, pull: Pull, by: Actor, order: Order) -> None:
    if order.method not in METHODS:
        raise RefusalError(422, f"{order.method} is not merge, squash or rebase")
    if pull.state != "open":
        raise RefusalError(405, "Pull Request is not mergeable")
    if order.sha is not None and order.sha != pull.head_sha:
        raise RefusalError(409, HEAD_MOVED)
    if not repos.switch(repo, METHODS[order.method]):
        raise RefusalError(405, _NOT_ALLOWED[order.method])
    if not repos.at_least(access.role(view.tx, repo, by.user.id, by.token), "write"):
        raise forbidden("Must have push access to merge this pull request.")
    judgement = judging.judge(view, pull, by=by, method=order.method)
    if not judgement.allowed:
        raise RefusalError(405, " ".join(r.message for r in judgement.reasons))
    _check_workflows(view, repo, pull, by)


def _check_workflows(view: View, repo: Repo, pull: Pull, by: Actor) -> None:
    """A token without `workflows` cannot bring changed workflow files to the base by merging them."""
    if by.token is None or by.token.allows("workflows", "write", repo.id):
        return
    bare = repos.path(view.sandbox, repo)
    changed = gitview.changed_paths(bare, pulls.merge_base(view.sandbox, repo, pull), pull.head_sha)
    if any(path.startswith(f"{push_policy.WORKFLOWS}/") for path in changed):
        raise forbidden("refusing to let this token create or update workflows without `workflows` permission")


def _maker(view: View, repo: Repo, pull: Pull, by: Actor, order: Order) -> Callable[[], tuple[str, str]]:
    """What makes the commit: it reads the database now, and writes to Git when called."""
    bare, now = repos.path(view.sandbox, repo), view.sandbox.now()
    base = gitrepo.ref_sha(bare, f"refs/heads/{pull.base_ref}")
    if base is None:
        raise RefusalError(405, "The base branch is gone")
    author = users.by_id(view.tx, pull.author_id)
    web = Signature("gitml sandbox", "noreply@localhost", now)
    me = Signature(by.user.name or by.user.login, by.user.mail, now)
    them = Signature(author.name or author.login, author.mail, now)
    title, body = texts(view, repo, pull, bare, base, order)

    def make() -> tuple[str, str]:
        try:
            if order.method == "rebase":
                return base, gitwrite.rebased(bare, base, pull.head_sha, me)
            tree = gitwrite.merge_tree(bare, base, pull.head_sha)
        except gitwrite.ConflictError as exc:
            raise RefusalError(405, f"Pull Request is not mergeable: {exc.message}") from exc
        parents = [base, pull.head_sha] if order.method == "merge" else [base]
        message = f"{title}\n\n{body}".rstrip() + "\n"
        stamp = gitwrite.Stamp(me if order.method == "merge" else them, web)
        return base, gitwrite.make_commit(bare, tree, parents, message, stamp)

    return make


def texts(view: View, repo: Repo, pull: Pull, bare: Path, base: str, order: Order) -> tuple[str, str]:
    """Title and message as the repository's settings want them, unless the order has its own."""
    commits = gitview.commits(bare, gitrepo.commits_between(bare, base, pull.head_sha))
    if order.method == "squash":
        title, body = _squash_texts(repo, pull, commits)
    else:
        title, body = _merge_texts(view, repo, pull)
    return (title if order.title is None else order.title), (body if order.message is None else order.message)


def _merge_texts(view: View, repo: Repo, pull: Pull) -> tuple[str, str]:
    owner = repos.by_id(view.tx, pull.head_repo_id).owner if pull.head_repo_id else "unknown"
    title = f"Merge pull request #{pull.number} from {owner}/{pull.head_ref}"
    if repos.switch(repo, "merge_commit_title") == "PR_TITLE":
        title = f"{pull.title} (#{pull.number})"
    bodies = {"PR_TITLE": pull.title, "PR_BODY": pull.body or "", "BLANK": ""}
    return title, bodies[repos.switch(repo, "merge_commit_message")]


def _squash_texts(repo: Repo, pull: Pull, commits: list[gitview.Commit]) -> tuple[str, str]:
    only = commits[0] if len(commits) == 1 else None
    by_commit = only is not None and repos.switch(repo, "squash_merge_commit_title") == "COMMIT_OR_PR_TITLE"
    subject = only.subject if only is not None and by_commit else pull.title
    if only is not None:
        listed = only.message.partition("\n")[2].strip("\n")
    else:
        listed = "\n\n".join(f"* {c.message}" for c in commits)
    bodies = {"COMMIT_MESSAGES": listed, "PR_BODY": pull.body or "", "BLANK": ""}
    return f"{subject} (#{pull.number})", bodies[repos.switch(repo, "squash_merge_commit_message")]


def _delete_head(sandbox: Sandbox, repo: Repo, pull: Pull, by: Actor) -> None:
    """After the merge, where the repository wants it: the branch, unless it is protected, default or a fork's."""
    if not repos.switch(repo, "delete_branch_on_merge") or pull.head_repo_id != repo.id:
        return
    change = Change(f"refs/heads/{pull.head_ref}", pull.head_sha, ZERO)
    try:
        refs.update(sandbox, repo, [change], by)
    except (refs.MovedError, push_policy.RefusedError):
        return
