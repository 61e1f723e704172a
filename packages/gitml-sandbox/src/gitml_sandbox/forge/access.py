"""What somebody may do in a repository when the token is counted in."""

from __future__ import annotations

import sqlite3

from gitml_sandbox.forge import repos
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.tokens import Token


def role(tx: sqlite3.Connection, repo: Repo, user_id: int | None, token: Token | None) -> str:
    """The role of the user; a token made for this repository carries at least 'write' itself.

    A job's bot is nobody's collaborator: what its token may do is in the token's permissions, which are asked besides.
    """
    given = repos.permission(tx, repo, user_id)
    if token is not None and token.kind == "job" and token.repo_id == repo.id:
        return max(given, "write", key=repos.LEVELS.index)
    return given


def sees(repo: Repo, role_: str, token: Token | None) -> bool:
    """Whether the repository exists for them: a token bound to another one sees only what is public."""
    if role_ == "none":
        return False
    return not repo.private or token is None or token.allows("metadata", "read", repo.id)
