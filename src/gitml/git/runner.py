"""The one place that starts Git: none of the user's GIT_* variables, one locale, no hooks, no replaced objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

from gitml.process import run

# What a clone could lie with about its own objects and history.
PLAIN = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
_SETTINGS = {"core.hooksPath": os.devnull, "commit.gpgSign": "false", "log.showSignature": "false"}


def settings(more: Mapping[str, str]) -> dict[str, str]:
    """The environment that gives a child of Git these settings, and those that every child has."""
    wanted = {**_SETTINGS, **more}
    env = {**PLAIN, "GIT_CONFIG_COUNT": str(len(wanted))}
    for number, (key, value) in enumerate(wanted.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def git(
    folder: Path,
    *words: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> CompletedProcess[bytes]:
    """Run ``git WORDS…`` in ``folder``. Raises OutsideError with Git's own words."""
    return run(
        ["git", *words], cwd=folder, env={**settings({}), **(env or {})}, stdin=stdin, timeout=timeout, check=check
    )
