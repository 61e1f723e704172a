"""The bodies of push, create and delete events, as GitHub's webhooks have them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gitml_sandbox.forge import repos, users
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO, Change
from gitml_sandbox.serial import people as people_json

COMMITS = 250
_FIELDS = ("%H", "%T", "%aI", "%an", "%ae", "%cn", "%ce", "%B")
_KINDS = {"A": "added", "M": "modified", "T": "modified", "D": "removed"}


def for_move(sandbox: Sandbox, repo: Repo, change: Change, actor: users.User) -> list[tuple[str, dict[str, Any]]]:
    """The events of one moved ref: 'create' or 'delete' where it applies, and 'push' for branches and tags."""
    kind, _, name = change.ref.removeprefix("refs/").partition("/")
    if kind not in ("heads", "tags"):
        return []
    with sandbox.store.read() as tx:
        view = View(sandbox, tx, actor.id)
        common = {"repository": repository(view, repo), "sender": people_json.user(view, actor)}
    short = {"ref": name, "ref_type": "branch" if kind == "heads" else "tag", "pusher_type": "user", **common}
    events: list[tuple[str, dict[str, Any]]] = []
    if change.old == ZERO:
        more = {"master_branch": repo.default_branch, "description": repo.description or None}
        events.append(("create", {**short, **more}))
    events.append(("push", {**push(sandbox, repo, change, actor), **common}))
    if change.new == ZERO:
        events.append(("delete", short))
    return events


def push(sandbox: Sandbox, repo: Repo, change: Change, actor: users.User) -> dict[str, Any]:
    """The push body without repository and sender; at most the newest 250 commits, oldest first."""
    bare = repos.path(sandbox, repo)
    gone, created = change.new == ZERO, change.old == ZERO
    commits = [] if gone else _commits(sandbox, repo, change)
    head = commits[-1] if commits and commits[-1]["id"] == change.new else None
    base = f"{sandbox.base_url}/{repo.full_name}/compare/"
    return {
        "ref": change.ref,
        "before": change.old,
        "after": change.new,
        "created": created,
        "deleted": gone,
        "forced": not created and not gone and not gitrepo.is_ancestor(bare, change.old, change.new),
        "base_ref": None,
        "compare": f"{base}{change.old[:12]}...{change.new[:12]}",
        "commits": [] if created and _known_elsewhere(bare, change) else commits,
        "head_commit": None if gone else head or next(iter(_log(sandbox, repo, "--max-count=1", change.new)), None),
        "pusher": {"name": actor.login, "email": actor.mail},
    }


def repository(view: View, repo: Repo) -> dict[str, Any]:
    """The repository as webhooks show it: as REST does, and with what a push adds."""
    owner = users.by_id(view.tx, repo.owner_id)
    shown = people_json.repository(view, repo)
    named = {**shown["owner"], "name": owner.login, "email": owner.mail}
    return {**shown, "owner": named, "master_branch": repo.default_branch}


def _known_elsewhere(bare: Path, change: Change) -> bool:
    """Whether a new ref only names what another branch already has: then it brings no commits."""
    holders = gitrepo.out(bare, "for-each-ref", "--format=%(refname)", f"--contains={change.new}", "refs/heads")
    return bool(set(holders.splitlines()) - {change.ref})


def _commits(sandbox: Sandbox, repo: Repo, change: Change) -> list[dict[str, Any]]:
    span = [change.new] if change.old == ZERO else [change.new, f"^{change.old}"]
    return _log(sandbox, repo, f"--max-count={COMMITS}", *span)[::-1]


def _log(sandbox: Sandbox, repo: Repo, *span: str) -> list[dict[str, Any]]:
    """Newest first. Fields end in a mark that no author of a commit can know, as messages may hold anything."""
    mark = secrets.token_hex(12)
    fields = "".join(f"{field}{mark}" for field in _FIELDS)
    words = ["log", "-z", "--no-renames", "--name-status", f"--format={mark}:{fields}", *span, "--"]
    done = gitrepo.git(repos.path(sandbox, repo), *words, check=False)
    parts = done.stdout.decode(errors="replace").split(f"{mark}:")[1:]
    return [_commit(sandbox, repo, part.split(mark)) for part in parts]


def _commit(sandbox: Sandbox, repo: Repo, fields: Sequence[str]) -> dict[str, Any]:
    sha, tree, when, author, author_mail, committer, committer_mail, message, files = fields
    return {
        "id": sha,
        "tree_id": tree,
        "distinct": True,
        "message": message.strip("\n"),
        "timestamp": when,
        "url": f"{sandbox.base_url}/{repo.full_name}/commit/{sha}",
        "author": {"name": author, "email": author_mail},
        "committer": {"name": committer, "email": committer_mail},
        **_files(files),
    }


def _files(text: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
    words = [word.lstrip("\n") for word in text.split("\0") if word.strip("\n")]
    for kind, name in zip(words[::2], words[1::2], strict=False):
        found[_KINDS.get(kind[:1], "modified")].append(name)
    return found
