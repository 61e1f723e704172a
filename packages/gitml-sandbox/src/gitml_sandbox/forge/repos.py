"""Repositories: names, visibility, collaborators, and who may do what."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml_sandbox.errors import RefError, UsageError
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.git import repository as gitrepo

SCHEMA = """
CREATE TABLE IF NOT EXISTS repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL REFERENCES users(id),
    name TEXT NOT NULL COLLATE NOCASE,
    description TEXT NOT NULL DEFAULT '',
    private INTEGER NOT NULL DEFAULT 0,
    default_branch TEXT NOT NULL DEFAULT 'main',
    fork_of INTEGER REFERENCES repos(id) ON DELETE SET NULL,
    settings TEXT NOT NULL DEFAULT '{}',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    pushed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    UNIQUE (owner_id, name)
);
CREATE TABLE IF NOT EXISTS collaborators (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    permission TEXT NOT NULL CHECK (permission IN ('read', 'triage', 'write', 'maintain', 'admin')),
    PRIMARY KEY (repo_id, user_id)
);
CREATE TABLE IF NOT EXISTS team_repos (
    repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
    team_id INTEGER NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
    permission TEXT NOT NULL CHECK (permission IN ('read', 'triage', 'write', 'maintain', 'admin')),
    PRIMARY KEY (repo_id, team_id)
);
"""

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SELECT = "SELECT repos.*, users.login AS owner FROM repos JOIN users ON users.id = owner_id"


# The switches of a repository, with GitHub's defaults; settings of the row override them.
SWITCHES: dict[str, Any] = {
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "allow_update_branch": False,
    "delete_branch_on_merge": False,
    "merge_commit_title": "MERGE_MESSAGE",
    "merge_commit_message": "PR_TITLE",
    "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
    "use_squash_pr_title_as_default": False,
    "web_commit_signoff_required": False,
    "allow_forking": True,
    "is_template": False,
    "has_issues": True,
}


@dataclass(frozen=True)
class Repo:
    """A row of repos. ``settings`` holds GitHub's switches, such as allow_squash_merge."""

    id: int
    owner_id: int
    owner: str
    name: str
    description: str
    private: bool
    default_branch: str
    fork_of: int | None
    settings: Mapping[str, Any]
    created_at: str
    updated_at: str
    pushed_at: str

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


def repo_of(row: sqlite3.Row) -> Repo:
    return Repo(
        id=row["id"],
        owner_id=row["owner_id"],
        owner=row["owner"],
        name=row["name"],
        description=row["description"],
        private=bool(row["private"]),
        default_branch=row["default_branch"],
        fork_of=row["fork_of"],
        settings=json.loads(row["settings"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        pushed_at=row["pushed_at"],
    )


def valid_name(name: str) -> bool:
    """GitHub's rule: letters, digits, ``._-``, 100 at most; not a dot folder, not ending in .git or .lock."""
    if _NAME.fullmatch(name) is None or name in {".", ".."} or name.startswith("-"):
        return False
    return not name.lower().endswith((".git", ".lock", ".wiki"))


def path(sandbox: Sandbox, repo: Repo) -> Path:
    """The bare repository. Both names come from the database, where only validated ones enter."""
    return sandbox.repositories / repo.owner / f"{repo.name}.git"


def create(
    sandbox: Sandbox,
    owner_id: int,
    name: str,
    *,
    private: bool = False,
    description: str = "",
    fork_of: Repo | None = None,
) -> Repo:
    """Create an empty repository, or a fork with all branches and tags of ``fork_of``.

    Raises UsageError when the name is not allowed or taken. The bare repository is complete before the row is
    committed; what a kill leaves behind between the two is replaced by the next one of that name.
    """
    if not valid_name(name):
        raise UsageError(f"{name!r} cannot be the name of a repository", "letters, digits, '.', '_', '-'; at most 100")
    with sandbox.store.write() as tx:
        taken = tx.execute("SELECT 1 FROM repos WHERE owner_id = ? AND name = ?", (owner_id, name)).fetchone()
        if taken:
            raise UsageError(f"the repository {name} exists already", "choose another name")
        branch = fork_of.default_branch if fork_of else "main"
        done = tx.execute(
            "INSERT INTO repos (owner_id, name, private, description, fork_of, default_branch)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (owner_id, name, int(private), description, fork_of.id if fork_of else None, branch),
        )
        repo = by_id(tx, int(done.lastrowid or 0))
        source = path(sandbox, fork_of) if fork_of else None
        gitrepo.create(path(sandbox, repo), branch=branch, source=source)
        tx.executemany(
            "INSERT INTO refs (repo_id, ref, sha) VALUES (?, ?, ?)",
            [(repo.id, ref, sha) for ref, sha in gitrepo.all_refs(path(sandbox, repo)).items()],
        )
    return repo


def find(tx: sqlite3.Connection, owner: str, name: str) -> Repo | None:
    """By owner and name, in any case."""
    row = tx.execute(f"{_SELECT} WHERE users.login = ? AND repos.name = ?", (owner, name)).fetchone()
    return repo_of(row) if row else None


def get(tx: sqlite3.Connection, full_name: str) -> Repo:
    """By ``owner/name``. Raises RefError."""
    owner, _, name = full_name.partition("/")
    repo = find(tx, owner, name)
    if repo is None:
        raise RefError(f"there is no repository {full_name}", "see: gitml sandbox repo list")
    return repo


def by_id(tx: sqlite3.Connection, repo_id: int) -> Repo:
    row = tx.execute(f"{_SELECT} WHERE repos.id = ?", (repo_id,)).fetchone()
    if row is None:
        raise RefError(f"there is no repository with id {repo_id}")
    return repo_of(row)


def listing(tx: sqlite3.Connection, user_id: int | None = None, *, everything: bool = False) -> list[Repo]:
    """The repositories that the user (None: a stranger) can see, in order of creation."""
    rows = tx.execute(f"{_SELECT} ORDER BY repos.id").fetchall()
    seen = (repo_of(row) for row in rows)
    return [r for r in seen if everything or permission(tx, r, user_id) != "none"]


def delete(sandbox: Sandbox, repo: Repo) -> None:
    """Remove the rows, then the files: after a kill in between only unused files are left."""
    with sandbox.locks.of(repo.id):
        with sandbox.store.write() as tx:
            tx.execute("DELETE FROM repos WHERE id = ?", (repo.id,))
        gitrepo.remove(path(sandbox, repo))


def set_default_branch(sandbox: Sandbox, tx: sqlite3.Connection, repo: Repo, branch: str) -> None:
    gitrepo.set_head(path(sandbox, repo), branch)
    tx.execute("UPDATE repos SET default_branch = ? WHERE id = ?", (branch, repo.id))


def set_collaborator(tx: sqlite3.Connection, repo_id: int, user_id: int, permission: str) -> None:
    """Give a user 'read', 'triage', 'write', 'maintain' or 'admin'; 'none' takes it away."""
    if permission not in LEVELS:
        raise UsageError(f"{permission} is no permission", "one of: " + ", ".join(LEVELS))
    tx.execute("DELETE FROM collaborators WHERE repo_id = ? AND user_id = ?", (repo_id, user_id))
    if permission != "none":
        tx.execute("INSERT INTO collaborators VALUES (?, ?, ?)", (repo_id, user_id, permission))


def set_team(tx: sqlite3.Connection, repo_id: int, team_id: int, permission: str) -> None:
    """The same for all members of a team."""
    if permission not in LEVELS:
        raise UsageError(f"{permission} is no permission", "one of: " + ", ".join(LEVELS))
    tx.execute("DELETE FROM team_repos WHERE repo_id = ? AND team_id = ?", (repo_id, team_id))
    if permission != "none":
        tx.execute("INSERT INTO team_repos VALUES (?, ?, ?)", (repo_id, team_id, permission))


def permission(tx: sqlite3.Connection, repo: Repo, user_id: int | None) -> str:
    """The highest right of the user: one of LEVELS. None is a stranger."""
    given = ["none" if repo.private else "read"]
    if user_id is not None:
        if user_id == repo.owner_id or _rules_all(tx, repo, user_id):
            return "admin"
        given += _granted(tx, repo, user_id)
    return max(given, key=LEVELS.index)


def at_least(level: str, wanted: str) -> bool:
    """Whether a permission includes another.

    >>> at_least("maintain", "write"), at_least("triage", "write")
    (True, False)
    """
    return LEVELS.index(level) >= LEVELS.index(wanted)


def _rules_all(tx: sqlite3.Connection, repo: Repo, user_id: int) -> bool:
    sql = (
        "SELECT 1 FROM users WHERE id = ?1 AND site_admin = 1"
        " UNION SELECT 1 FROM org_members WHERE user_id = ?1 AND org_id = ?2 AND role = 'admin'"
    )
    return tx.execute(sql, (user_id, repo.owner_id)).fetchone() is not None


def _granted(tx: sqlite3.Connection, repo: Repo, user_id: int) -> list[str]:
    sql = (
        "SELECT permission FROM collaborators WHERE repo_id = ?1 AND user_id = ?2"
        " UNION SELECT permission FROM team_repos JOIN team_members USING (team_id)"
        " WHERE repo_id = ?1 AND user_id = ?2"
        " UNION SELECT 'read' FROM org_members WHERE org_id = ?3 AND user_id = ?2"
    )
    return [row["permission"] for row in tx.execute(sql, (repo.id, user_id, repo.owner_id))]


def set_settings(tx: sqlite3.Connection, repo: Repo, settings: Mapping[str, Any]) -> None:
    """Change some of GitHub's switches of the repository; the others stay."""
    merged = json.dumps({**repo.settings, **settings})
    tx.execute("UPDATE repos SET settings = ? WHERE id = ?", (merged, repo.id))


def switch(repo: Repo, name: str) -> Any:
    """A setting of the repository, or GitHub's default."""
    return repo.settings.get(name, SWITCHES[name])
