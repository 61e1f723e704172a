"""As whom a token writes: a comment is ours by its author."""

from __future__ import annotations

from collections.abc import Callable

from gitml.forges.base import Forge, Status
from gitml.http import HttpError


def login_of(forge: Forge, commit: str, status: Status, say: Callable[[str], None]) -> str:
    """The login we write as. The token of an app or a job learns it from ``status``, which it posts; else later."""
    known = forge.me()
    if known:
        return known
    try:
        return forge.commits.post(commit, status).author
    except HttpError as exc:
        say(f"the status could not be posted: {exc.message}")
        return ""
