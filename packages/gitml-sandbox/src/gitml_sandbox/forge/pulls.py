"""Pull requests: a branch that asks to be merged into another. Title, text and number live in ``issues``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from gitml_sandbox.forge import issues, repos
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import invalid, not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git import writing as gitwrite

SCHEMA = """
CREATE TABLE IF NOT EXISTS pulls (
    id INTEGER PRIMARY KEY REFERENCES issues(id) ON DELETE CASCADE,
    head_repo_id INTEGER REFERENCES repos(id) ON DELETE SET NULL,
    head_ref TEXT NOT NULL,
    head_sha TEXT NOT NULL,
    base_ref TEXT NOT NULL,
    base_sha TEXT NOT NULL,
    draft INTEGER NOT NULL DEFAULT 0,
    maintainer_can_modify INTEGER NOT NULL DEFAULT 0,
    last_pusher INTEGER NOT NULL REFERENCES users(id),
    mergeable INTEGER,
    merge_sha TEXT,
    merged_at TEXT,
    merged_by INTEGER REFERENCES users(id),
    merge_commit_sha TEXT
);
CREATE INDEX IF NOT EXISTS pulls_of_head ON pulls (head_repo_id, head_ref);
CREATE TABLE IF NOT EXISTS review_requests (
    pull_id INTEGER NOT NULL REFERENCES pulls(id) ON DELETE CASCADE,
    user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
    team_id INTEGER REFERENCES teams(id) ON DELETE CASCADE,
    UNIQUE (pull_id, user_id),
    UNIQUE (pull_id, team_id)
);
"""

_SELECT = """
SELECT pulls.*, issues.repo_id, issues.number, issues.title, issues.body, issues.state, issues.user_id AS author_id,
issues.app_id, issues.created_at, issues.updated_at, issues.closed_at
FROM pulls JOIN issues USING (id)
"""


@dataclass(frozen=True)
class Pull:
    """A pull request. ``mergeable`` None: not computed since a side moved; ``merge_sha``: the trial merge."""

    id: int
    repo_id: int
    number: int
    title: str
    body: str | None
    state: str
    author_id: int
    app_id: int | None
    head_repo_id: int | None
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    draft: bool
    maintainer_can_modify: bool
    last_pusher: int
    mergeable: bool | None
    merge_sha: str | None
    merged_at: str | None
    merged_by: int | None
    merge_commit_sha: str | None
    created_at: str
    updated_at: str
    closed_at: str | None

    @property
    def merged(self) -> bool:
        return self.merged_at is not None

    @property
    def head_name(self) -> str:
        """The ref in the base repository that always holds the head."""
        return f"refs/pull/{self.number}/head"

    @property
    def merge_name(self) -> str:
        return f"refs/pull/{self.number}/merge"


def pull_of(row: sqlite3.Row) -> Pull:
    values = {field.name: row[field.name] for field in fields(Pull)}
    for name in ("draft", "maintainer_can_modify"):
        values[name] = bool(values[name])
    if values["mergeable"] is not None:
        values["mergeable"] = bool(values["mergeable"])
    return Pull(**values)


def get(tx: sqlite3.Connection, repo_id: int, number: int) -> Pull:
    """Raises RefusalError 404."""
    row = tx.execute(f"{_SELECT} WHERE issues.repo_id = ? AND issues.number = ?", (repo_id, number)).fetchone()
    if row is None:
        raise not_found()
    return pull_of(row)


def by_id(tx: sqlite3.Connection, pull_id: int) -> Pull:
    row = tx.execute(f"{_SELECT} WHERE pulls.id = ?", (pull_id,)).fetchone()
    if row is None:
        raise not_found()
    return pull_of(row)


@dataclass(frozen=True)
class Wanted:
    """Filters of a listing. ``head`` is owner:branch, empty texts are any."""

    state: str = "open"
    head: str = ""
    base: str = ""
    sort: str = "created"
    ascending: bool = False


def listing(tx: sqlite3.Connection, repo_id: int, wanted: Wanted | None = None) -> list[Pull]:
    """The pull requests of a repository, newest first unless asked otherwise."""
    asked = wanted or Wanted()
    owner, _, branch = asked.head.rpartition(":")
    column = {"updated": "updated_at"}.get(asked.sort, "created_at")
    order = "ASC" if asked.ascending else "DESC"
    rows = tx.execute(
        f"{_SELECT} LEFT JOIN repos AS heads ON heads.id = head_repo_id LEFT JOIN users ON users.id = heads.owner_id"
        " WHERE issues.repo_id = ?1 AND (?2 = 'all' OR issues.state = ?2) AND (?3 = '' OR base_ref = ?3)"
        " AND (?4 = '' OR head_ref = ?4) AND (?5 = '' OR users.login = ?5)"
        f" ORDER BY issues.{column} {order}, pulls.id {order}",
        (repo_id, asked.state, asked.base, branch, owner),
    ).fetchall()
    return [pull_of(row) for row in rows]


def open_with_head(tx: sqlite3.Connection, head_repo_id: int, head_ref: str) -> list[Pull]:
    rows = tx.execute(
        f"{_SELECT} WHERE head_repo_id = ? AND head_ref = ? AND state = 'open' ORDER BY pulls.id",
        (head_repo_id, head_ref),
    )
    return [pull_of(row) for row in rows]


def open_with_base(tx: sqlite3.Connection, repo_id: int, base_ref: str) -> list[Pull]:
    return [p for p in listing(tx, repo_id, Wanted(base=base_ref, ascending=True)) if p.state == "open"]


def of_commit(sandbox: Sandbox, tx: sqlite3.Connection, repo: Repo, sha: str) -> list[Pull]:
    """Those that brought or would bring the commit."""
    bare = repos.path(sandbox, repo)
    found = []
    for pull in listing(tx, repo.id, Wanted(state="all", ascending=True)):
        brought = pull.merge_commit_sha == sha or pull.head_sha == sha
        if (
            brought
            or _rebased(bare, pull, sha)
            or (gitrepo.is_ancestor(bare, sha, pull.head_sha) and not gitrepo.is_ancestor(bare, sha, pull.base_sha))
        ):
            found.append(pull)
    return found


def _rebased(bare: Path, pull: Pull, sha: str) -> bool:
    """Whether it is one of the commits that the merge put on the base's own line, where it put several."""
    if pull.merge_commit_sha is None:
        return False
    span = (pull.merge_commit_sha, f"^{pull.base_sha}")
    return sha.encode() in gitrepo.git(bare, "rev-list", "--first-parent", *span, check=False).stdout.split()


@dataclass(frozen=True)
class New:
    """What a new pull request says. ``head`` is a branch of ``head_repo``."""

    title: str
    head_repo: Repo
    head: str
    base: str
    body: str | None = None
    draft: bool = False
    maintainer_can_modify: bool = False


def open_pull(sandbox: Sandbox, tx: sqlite3.Connection, repo: Repo, new: New, by: Actor) -> Pull:
    """Open it, with refs/pull/N/head and, without conflict, refs/pull/N/merge. Emits no event (``announce`` does).

    Raises RefusalError 422 as GitHub: unknown branches, nothing to merge, already open.
    """
    bare = repos.path(sandbox, repo)
    base_sha = gitrepo.ref_sha(bare, f"refs/heads/{new.base}")
    head_sha = gitrepo.ref_sha(repos.path(sandbox, new.head_repo), f"refs/heads/{new.head}")
    if base_sha is None:
        raise invalid("PullRequest", "base", "invalid")
    if head_sha is None:
        raise invalid("PullRequest", "head", "invalid")
    same = open_with_head(tx, new.head_repo.id, new.head)
    if any(p.repo_id == repo.id and p.base_ref == new.base for p in same):
        words = f"A pull request already exists for {new.head_repo.owner}:{new.head}."
        raise invalid("PullRequest", "head", "custom", words)
    now = sandbox.now()
    issue = issues.create(tx, repo_id=repo.id, by=by, title=new.title, body=new.body, now=now, is_pull=True)
    name = f"refs/pull/{issue['number']}/head"
    bring_head(sandbox, repo, new.head_repo, head_sha, name)
    if not gitrepo.commits_between(bare, base_sha, head_sha, limit=1):
        gitrepo.git(bare, "update-ref", "-d", name)
        raise invalid("PullRequest", "head", "custom", f"No commits between {new.base} and {new.head}")
    tx.execute(
        "INSERT INTO pulls (id, head_repo_id, head_ref, head_sha, base_ref, base_sha, draft, maintainer_can_modify,"
        " last_pusher) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            issue["id"],
            new.head_repo.id,
            new.head,
            head_sha,
            new.base,
            base_sha,
            int(new.draft),
            int(new.maintainer_can_modify),
            by.user.id,
        ),
    )
    return compute(sandbox, tx, by_id(tx, issue["id"]))


def bring_head(sandbox: Sandbox, repo: Repo, head_repo: Repo, sha: str, name: str) -> None:
    """Make ``name`` in the base repository point at the head, fetched from the fork where it is one."""
    bare = repos.path(sandbox, repo)
    if head_repo.id == repo.id:
        gitrepo.git(bare, "update-ref", name, sha)
    else:
        gitrepo.fetch(bare, repos.path(sandbox, head_repo), sha, name)


def compute(sandbox: Sandbox, tx: sqlite3.Connection, pull: Pull) -> Pull:
    """Try the merge: sets ``mergeable`` and keeps refs/pull/N/merge (there is none on a conflict)."""
    repo = repos.by_id(tx, pull.repo_id)
    bare = repos.path(sandbox, repo)
    base = gitrepo.ref_sha(bare, f"refs/heads/{pull.base_ref}")
    trial = _trial(sandbox, pull, bare, base) if base else None
    if trial:
        gitrepo.git(bare, "update-ref", pull.merge_name, trial)
    else:
        gitrepo.git(bare, "update-ref", "-d", pull.merge_name, check=False)
    tx.execute("UPDATE pulls SET mergeable = ?, merge_sha = ? WHERE id = ?", (int(bool(trial)), trial, pull.id))
    return by_id(tx, pull.id)


def _trial(sandbox: Sandbox, pull: Pull, bare: Path, base: str) -> str | None:
    try:
        tree = gitwrite.merge_tree(bare, base, pull.head_sha)
    except gitwrite.ConflictError:
        return None
    forge = gitview.Signature("gitml sandbox", "noreply@localhost", sandbox.now())
    message = f"Merge {pull.head_sha} into {base}\n"
    return gitwrite.make_commit(bare, tree, [base, pull.head_sha], message, gitwrite.Stamp(forge, forge))


def refresh(sandbox: Sandbox, pull_id: int) -> None:
    """Compute what a moved base has made unknown; for after a response, in a transaction of its own."""
    with sandbox.store.write() as tx:
        pull = by_id(tx, pull_id)
        if pull.state == "open" and pull.mergeable is None:
            compute(sandbox, tx, pull)


def set_draft(tx: sqlite3.Connection, pull: Pull, *, draft: bool, now: str) -> Pull:
    tx.execute("UPDATE pulls SET draft = ? WHERE id = ?", (int(draft), pull.id))
    issues.touch(tx, pull.id, now)
    return by_id(tx, pull.id)


def set_base(sandbox: Sandbox, tx: sqlite3.Connection, pull: Pull, base: str) -> Pull:
    """Point it at another branch of the same repository. Raises RefusalError 422 as ``open_pull`` does."""
    repo = repos.by_id(tx, pull.repo_id)
    sha = gitrepo.ref_sha(repos.path(sandbox, repo), f"refs/heads/{base}")
    if sha is None:
        raise invalid("PullRequest", "base", "invalid")
    if not gitrepo.commits_between(repos.path(sandbox, repo), sha, pull.head_sha, limit=1):
        raise invalid("PullRequest", "base", "custom", f"There are no new commits between {base} and {pull.head_ref}")
    others = open_with_head(tx, pull.head_repo_id, pull.head_ref) if pull.head_repo_id else []
    if any(p.repo_id == pull.repo_id and p.base_ref == base for p in others):
        raise invalid("PullRequest", "base", "custom", f"A pull request already exists for base branch '{base}'")
    tx.execute("UPDATE pulls SET base_ref = ?, base_sha = ? WHERE id = ?", (base, sha, pull.id))
    return compute(sandbox, tx, by_id(tx, pull.id))


def close(tx: sqlite3.Connection, pull: Pull, *, by: Actor, now: str) -> Pull:
    issues.set_state(tx, pull.id, state="closed", reason=None, by=by, now=now)
    return by_id(tx, pull.id)


def reopen(sandbox: Sandbox, tx: sqlite3.Connection, pull: Pull, *, by: Actor) -> Pull:
    """Raises RefusalError 422 when it was merged, or its branch is gone."""
    if pull.merged:
        raise invalid("PullRequest", "state", "invalid", "state cannot be changed. The pull request was merged.")
    head = repos.by_id(tx, pull.head_repo_id) if pull.head_repo_id else None
    sha = gitrepo.ref_sha(repos.path(sandbox, head), f"refs/heads/{pull.head_ref}") if head else None
    if head is None or sha is None:
        words = f"state cannot be changed. The {pull.head_ref} branch has been deleted."
        raise invalid("PullRequest", "state", "invalid", words)
    others = open_with_head(tx, head.id, pull.head_ref)
    if any(p.repo_id == pull.repo_id and p.base_ref == pull.base_ref for p in others):
        words = "state cannot be changed. There is already an open pull request for this branch."
        raise invalid("PullRequest", "state", "invalid", words)
    issues.set_state(tx, pull.id, state="open", reason=None, by=by, now=sandbox.now())
    bring_head(sandbox, repos.by_id(tx, pull.repo_id), head, sha, pull.head_name)
    if sha != pull.head_sha:
        tx.execute("UPDATE pulls SET head_sha = ?, last_pusher = ? WHERE id = ?", (sha, by.user.id, pull.id))
    return compute(sandbox, tx, by_id(tx, pull.id))


def request_reviews(tx: sqlite3.Connection, pull: Pull, user_ids: Iterable[int], team_ids: Iterable[int] = ()) -> None:
    tx.executemany("INSERT OR IGNORE INTO review_requests VALUES (?, ?, NULL)", [(pull.id, u) for u in user_ids])
    tx.executemany("INSERT OR IGNORE INTO review_requests VALUES (?, NULL, ?)", [(pull.id, t) for t in team_ids])


def requested_users(tx: sqlite3.Connection, pull_id: int) -> list[int]:
    sql = "SELECT user_id FROM review_requests WHERE pull_id = ? AND user_id IS NOT NULL ORDER BY user_id"
    return [row["user_id"] for row in tx.execute(sql, (pull_id,))]


def requested_teams(tx: sqlite3.Connection, pull_id: int) -> list[sqlite3.Row]:
    return tx.execute(
        "SELECT teams.* FROM teams JOIN review_requests ON team_id = teams.id WHERE pull_id = ? ORDER BY teams.id",
        (pull_id,),
    ).fetchall()


def merge_base(sandbox: Sandbox, repo: Repo, pull: Pull) -> str:
    """Where the two sides parted: the left side of the difference that GitHub shows."""
    bare = repos.path(sandbox, repo)
    base = pull.base_sha if pull.merged else gitrepo.ref_sha(bare, f"refs/heads/{pull.base_ref}") or pull.base_sha
    return gitrepo.merge_base(bare, base, pull.head_sha) or gitview.EMPTY_TREE
