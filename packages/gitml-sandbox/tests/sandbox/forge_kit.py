"""A running sandbox with users and a real git client, for the tests of this folder."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from gitml_sandbox.forge import repos, tokens, users
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

_NUMBERS = itertools.count(1)
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
# No upkeep after each commit, fetch and push, and no samples of hooks in new repositories.
_QUICK = {
    "GIT_TEMPLATE_DIR": "",
    "GIT_CONFIG_COUNT": "3",
    **{f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(("gc.auto", "maintenance.auto", "receive.autogc"))},
    **{f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(("0", "false", "false"))},
}


def git(folder: Path, *words: str, ok: bool = True, env: dict[str, str] | None = None) -> str:
    """Run the git client as a user would, deaf to the configuration of this machine. Returns all that it said."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    fixed = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env={**clean, **fixed, **_QUICK, **IDENTITY, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, f"git {' '.join(words)} -> {done.returncode}\n{said}"
    return said


@dataclass(frozen=True)
class Kit:
    """``token[login]`` for ada, olga, rita, eve (a stranger), the app gitml-bot[bot] and root (site admin)."""

    sandbox: Sandbox
    url: str
    token: dict[str, str] = field(default_factory=dict)

    def user(self, login: str) -> users.User:
        with self.sandbox.store.read() as tx:
            return users.get(tx, login)

    def repo(self, *, owner: str = "ada", private: bool = False, writers: tuple[str, ...] = ("olga", "rita")) -> Repo:
        """A new repository, with the others as collaborators who may write."""
        made = repos.create(self.sandbox, self.user(owner).id, f"demo-{next(_NUMBERS)}", private=private)
        with self.sandbox.store.write() as tx:
            for login in writers:
                repos.set_collaborator(tx, made.id, users.get(tx, login).id, "write")
        return made

    def remote(self, repo: Repo, token: str | None = None) -> str:
        """The clone URL, with a token as password when one is given (of a login, or a raw token)."""
        secret = self.token.get(token or "", token)
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{f'x:{secret}@' if secret else ''}{rest}/{repo.full_name}.git"

    def clone(self, repo: Repo, folder: Path, token: str = "ada") -> Path:
        git(folder.parent, "clone", "-q", self.remote(repo, token), str(folder))
        git(folder, "symbolic-ref", "HEAD", f"refs/heads/{repo.default_branch}")
        git(folder, "reset", "-q", "--hard") if (folder / ".git/index").exists() else None
        return folder

    def seeded(self, folder: Path, **how: bool) -> tuple[Repo, Path]:
        """A repository with one commit on main, and a clone of it."""
        made = self.repo(**how)
        clone = self.clone(made, folder)
        commit(clone, "README.md", "hello\n")
        git(clone, "push", "-q", "origin", "HEAD:main")
        return made, clone

    def events(self, repo: Repo, name: str | None = None) -> list[str]:
        """The names of the repository's events, oldest first, or the refs of those called ``name``."""
        with self.sandbox.store.read() as tx:
            rows = tx.execute("SELECT name, ref FROM events WHERE repo_id = ? ORDER BY id", (repo.id,)).fetchall()
        return [r["name"] for r in rows] if name is None else [r["ref"] for r in rows if r["name"] == name]


def commit(folder: Path, name: str, text: str, message: str = "change") -> str:
    """Write a file, commit it, return the commit."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", "--", name)
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


def people(sandbox: Sandbox) -> dict[str, str]:
    """Create the users of the tests and return their tokens."""
    made = {}
    with sandbox.store.write() as tx:
        for login in ("root", "ada", "olga", "rita", "eve"):
            who = users.add(tx, login, password=f"{login} password", site_admin=login == "root")
            made[login] = tokens.mint(tx, user_id=who.id, kind="user")
        bot = users.add(tx, "gitml-bot[bot]", type="Bot")
        made["gitml-bot[bot]"] = tokens.mint(tx, user_id=bot.id, kind="app")
    return made
