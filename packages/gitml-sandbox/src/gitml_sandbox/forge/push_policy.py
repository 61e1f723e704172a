"""What a push may do to a ref: judged before Git moves anything, for pushes and for changes from inside alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml_sandbox.errors import FailedError
from gitml_sandbox.forge import checks, protections, repos, users
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.protections import Actors, Protection
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.tokens import Token
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO, Change

HEADS = "refs/heads/"
TAGS = "refs/tags/"
WORKFLOWS = ".github/workflows"


@dataclass(frozen=True)
class Actor:
    """Who changes something, and by which token. ``token`` None: the forge itself, or a web session."""

    user: users.User
    token_kind: str = "user"  # noqa: S105 - a word, no secret
    token: Token | None = None


class RefusedError(FailedError):
    """A rule forbids the change; ``lines`` are for the person who pushed."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines), "open a pull request, or ask an administrator to change the rule")
        self.lines = tuple(lines)


def checker(
    sandbox: Sandbox,
    repo: Repo,
    changes: Sequence[Change],
    actor: Actor,
    *,
    env: Mapping[str, str] | None = None,
) -> Callable[[sqlite3.Connection], None]:
    """A function that raises RefusedError when a rule forbids one of the changes.

    ``env`` names the quarantine of objects that a push brought and that are not in the repository yet.
    """

    def check(tx: sqlite3.Connection) -> None:
        lines = [line for change in changes for line in refusals(sandbox, tx, repo, change, actor, env)]
        if lines:
            raise RefusedError(lines)

    return check


def refusals(
    sandbox: Sandbox,
    tx: sqlite3.Connection,
    repo: Repo,
    change: Change,
    actor: Actor,
    env: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Every reason against one change, in the words that GitHub uses where it has some."""
    bare = repos.path(sandbox, repo)
    if not gitrepo.valid_ref(change.ref):
        yield f"error: {change.ref!r} is no name for a ref"
        return
    yield from _by_name(repo, change)
    if change.new != ZERO and not _may_write_workflows(actor, repo):
        yield from _workflow_changes(bare, change, env)
    if not change.ref.startswith(HEADS):
        return
    rule = protections.find(tx, repo.id, change.ref.removeprefix(HEADS))
    if rule is None or _bypasses(tx, repo, rule, actor):
        return
    yield from (
        f"error: GH006: Protected branch update failed for {change.ref}. {reason}"
        for reason in _by_rule(tx, repo, rule, change, actor)
    )
    if change.new != ZERO:
        yield from _by_history(bare, rule, change, env)


def _by_name(repo: Repo, change: Change) -> Iterator[str]:
    # Elsewhere a ref would have a meaning that no rule here judges: refs/replace/ swaps one object for another.
    if not change.ref.startswith((HEADS, TAGS)):
        yield f"error: {change.ref} is neither a branch nor a tag: the forge keeps no other refs of yours"
    elif change.new == ZERO and change.ref == f"{HEADS}{repo.default_branch}":
        yield f"error: {change.ref} is the default branch and cannot be deleted"


def _by_rule(tx: sqlite3.Connection, repo: Repo, rule: Protection, change: Change, actor: Actor) -> Iterator[str]:
    if rule.lock_branch:
        yield "Cannot change this locked branch."
    if change.new == ZERO:
        if not rule.allow_deletions:
            yield "Cannot delete this protected branch."
        return
    if rule.restrictions is not None and not listed(tx, repo, rule.restrictions, actor.user):
        yield "You're not authorized to push to this branch."
    reviews = rule.required_pull_request_reviews
    if reviews is not None and not listed(tx, repo, reviews.bypass_pull_request_allowances, actor.user):
        yield "Changes must be made through a pull request."
    if rule.required_status_checks is not None:
        # A commit that is pushed directly needs the required statuses as much as one that is merged.
        yield from checks.missing(tx, repo.id, change.new, rule.required_status_checks)


def _by_history(bare: Path, rule: Protection, change: Change, env: Mapping[str, str] | None) -> Iterator[str]:
    failed = f"error: GH006: Protected branch update failed for {change.ref}."
    forced = change.old != ZERO and not gitrepo.is_ancestor(bare, change.old, change.new, env=env)
    if forced and not rule.allow_force_pushes:
        yield f"{failed} Cannot force-push to this branch."
    if rule.required_linear_history and gitrepo.merges_between(bare, change.old, change.new, env=env):
        yield f"{failed} This branch must not contain merge commits."


def listed(tx: sqlite3.Connection, repo: Repo, actors: Actors, user: users.User) -> bool:
    """Whether the user is among people, apps or members of teams of the repository's owner."""
    teams = users.team_slugs(tx, repo.owner_id, user.id)
    names = {name.lower() for name in actors.users} | {f"{app}[bot]".lower() for app in actors.apps}
    return user.login.lower() in names or bool(teams & {slug.lower() for slug in actors.teams})


def _bypasses(tx: sqlite3.Connection, repo: Repo, rule: Protection, actor: Actor) -> bool:
    """Administrators pass, unless the rule holds for them too; never by a job's token, whoever started the job."""
    if rule.enforce_admins or actor.token_kind == "job":  # noqa: S105 - a word
        return False
    return repos.permission(tx, repo, actor.user.id) == "admin"


def _may_write_workflows(actor: Actor, repo: Repo) -> bool:
    return actor.token is None or actor.token.allows("workflows", "write", repo.id)


def _workflow_changes(bare: Path, change: Change, env: Mapping[str, str] | None) -> Iterator[str]:
    """A token without `workflows` may bring workflow files only as a branch here already has them."""
    tree = gitrepo.resolve(bare, f"{change.new}:{WORKFLOWS}", "", env=env)
    if tree is None:
        return
    here = sorted(set(gitrepo.all_refs(bare).values()))
    if not here or tree not in gitrepo.resolve_all(bare, [f"{sha}:{WORKFLOWS}" for sha in here]):
        yield f"error: refusing to let this token create or update {WORKFLOWS} without `workflows` permission"
