"""Branches that change deployments and nothing else: nothing of them is ever trained, whatever state main is in."""

from __future__ import annotations

import re

from gitml.cijobs.context import Push
from gitml.errors import OutsideError
from gitml.git.commands import Git
from gitml.git.merges import changes
from gitml.refs import NAME

_DEPLOYMENT = re.compile(rf"models/{NAME.pattern}/[^/]+\.yaml")
NOTHING = "only deployments change, and what main lacks is trained on a branch of its own"


def deploys_only(git: Git, push: Push) -> bool:
    """Whether all that the branch changes since it left main are deployment files.

    A rollback must work exactly when main cannot be trained: a commit of CI on its branch would make it a pull request
    that changes other things as well, which the gate refuses.
    """
    if push.on_default:
        return False
    onto = push.base or push.default_branch or "main"
    tip = git.resolve(f"refs/remotes/origin/{onto}") or git.resolve(f"refs/heads/{onto}")
    if tip is None:
        return False
    try:
        fork = git.text("merge-base", "HEAD", tip).strip()
    except OutsideError:
        return False
    found = changes(git, fork, "HEAD")
    return bool(found) and all(_is_deployment(git.prefix, change.path) for change in found)


def _is_deployment(prefix: str, path: str) -> bool:
    return path.startswith(prefix) and _DEPLOYMENT.fullmatch(path.removeprefix(prefix)) is not None
