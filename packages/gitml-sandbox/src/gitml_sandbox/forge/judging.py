"""Gathers the facts about a pull request and lets the rules judge them."""

from __future__ import annotations

from pathlib import Path

from gitml_sandbox.forge import (
    checks,
    codeowners,
    emails,
    protections,
    pulls,
    push_policy,
    repos,
    reviews,
    rules,
    users,
)
from gitml_sandbox.forge.codeowners import CodeOwners
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.protections import Protection
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.rules import Facts, Judgement, Owned, Review
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo


def judge(view: View, pull: Pull, *, by: Actor | None = None, method: str = "squash") -> Judgement:
    """All reasons against merging it now, for ``by`` (None: for somebody without special rights)."""
    repo = repos.by_id(view.tx, pull.repo_id)
    rule = protections.find(view.tx, repo.id, pull.base_ref)
    known = facts(view, repo, pull, by=by, method=method)
    if rule is not None and by is not None and rule.required_pull_request_reviews is not None:
        allowed = rule.required_pull_request_reviews.bypass_pull_request_allowances
        if push_policy.listed(view.tx, repo, allowed, by.user):
            rule = rule.model_copy(update={"required_pull_request_reviews": None})
    return rules.judge(known, rule)


def mergeable_state(view: View, pull: Pull) -> str:
    """As GitHub's field of that name; 'unknown' for what is closed."""
    if pull.state != "open":
        return "unknown"
    repo = repos.by_id(view.tx, pull.repo_id)
    known = facts(view, repo, pull)
    return rules.mergeable_state(known, rules.judge(known, protections.find(view.tx, repo.id, pull.base_ref)))


def facts(view: View, repo: Repo, pull: Pull, *, by: Actor | None = None, method: str = "squash") -> Facts:
    """What the rules look at. A merge commit on a linear branch is refused only when that method is asked for."""
    bare = repos.path(view.sandbox, repo)
    rule = protections.find(view.tx, repo.id, pull.base_ref)
    base = gitrepo.ref_sha(bare, f"refs/heads/{pull.base_ref}")
    wanted = rule.required_pull_request_reviews if rule else None
    needs_owners = wanted is not None and wanted.require_code_owner_reviews and base is not None
    return Facts(
        state=pull.state,
        draft=pull.draft,
        author=pull.author_id,
        head=pull.head_sha,
        last_pusher=pull.last_pusher,
        conflict=None if pull.mergeable is None else not pull.mergeable,
        behind=base is None or not gitrepo.is_ancestor(bare, base, pull.head_sha),
        reviews=_reviews(view, repo, pull),
        results=checks.results(view.tx, repo.id, pull.head_sha),
        owned=owned(view, repo, pull, base) if needs_owners and base else (),
        open_conversations=reviews.unresolved(view.tx, pull.id),
        bypass=by is not None and _administers(view, repo, by),
        may_push=_may_push(view, repo, rule, by),
        method=method,
    )


def _administers(view: View, repo: Repo, by: Actor) -> bool:
    """A job never uses the rights of whoever started it."""
    return by.token_kind != "job" and repos.permission(view.tx, repo, by.user.id) == "admin"  # noqa: S105


def _may_push(view: View, repo: Repo, rule: Protection | None, by: Actor | None) -> bool:
    if rule is None or rule.restrictions is None or by is None:
        return True
    return push_policy.listed(view.tx, repo, rule.restrictions, by.user)


def _reviews(view: View, repo: Repo, pull: Pull) -> tuple[Review, ...]:
    return tuple(
        Review(row["user_id"], row["state"], row["covers"], may_write(view, repo, row["user_id"]))
        for row in reviews.listing(view.tx, pull.id)
    )


def may_write(view: View, repo: Repo, user_id: int) -> bool:
    return repos.at_least(repos.permission(view.tx, repo, user_id), "write")


def read_codeowners(bare: Path, sha: str) -> tuple[CodeOwners, str]:
    """The file of a commit, and its text; the first of GitHub's three places counts."""
    for path in codeowners.LOCATIONS:
        entry = gitview.entry(bare, sha, path)
        if entry is not None and entry.type == "blob" and entry.mode != "120000":
            if entry.size > codeowners.MAX_BYTES:
                return CodeOwners(path), ""
            text = gitview.blob(bare, entry.sha).decode(errors="replace")
            return codeowners.parse(text, path), text
    return CodeOwners(""), ""


def owned(view: View, repo: Repo, pull: Pull, base: str) -> tuple[Owned, ...]:
    """Which owners the base branch names for what the pull request changes."""
    bare = repos.path(view.sandbox, repo)
    named, _ = read_codeowners(bare, base)
    paths = gitview.changed_paths(bare, pulls.merge_base(view.sandbox, repo, pull), pull.head_sha)
    groups = codeowners.owned(named, paths)
    return tuple(Owned(tuple(p), words, owner_ids(view, repo, words)) for words, p in groups.items())


def owner_ids(view: View, repo: Repo, words: tuple[str, ...]) -> frozenset[int]:
    """The people behind the words, as far as they may write: others cannot approve anything."""
    found = {number for word in words for number in _ids(view, repo, word)}
    return frozenset(n for n in found if may_write(view, repo, n))


def _ids(view: View, repo: Repo, word: str) -> list[int]:
    name = word.removeprefix("@")
    if word.startswith("@") and "/" in name:
        org, slug = name.split("/", 1)
        sql = (
            "SELECT user_id AS id FROM team_members JOIN teams ON teams.id = team_id JOIN users ON users.id = org_id"
            " WHERE login = ? AND slug = ? AND org_id = ?"
        )
        return [r["id"] for r in view.tx.execute(sql, (org, slug, repo.owner_id))]
    if word.startswith("@"):
        who = users.find(view.tx, name)
        return [who.id] if who else []
    holder = emails.owner(view.tx, word)
    return [holder.id] if holder else []
