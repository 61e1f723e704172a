"""Where a CI run takes place: the push it is about, as the forge's environment variables say it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.git.orphan import Remote

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Push:
    """``commit`` was pushed to ``branch``; outside CI both are empty. URLs end without a slash.

    ``needs`` says how the jobs before this one ended. For a pull request of a fork ``fork`` is true, ``branch`` empty
    and ``base`` the branch that it is meant for.
    """

    commit: str = ""
    branch: str = ""
    default_branch: str = ""
    repository: str = ""
    server: str = ""
    run_url: str = ""
    token: str = field(default="", repr=False)
    needs: Mapping[str, str] = field(default_factory=dict)
    fork: bool = False
    base: str = ""

    @property
    def on_default(self) -> bool:
        return bool(self.branch) and self.branch == self.default_branch

    @property
    def git_url(self) -> str:
        return f"{self.server}/{self.repository}"

    @property
    def remote(self) -> Remote:
        return Remote(self.git_url, self.token)


def push_of(environ: Mapping[str, str] | None = None, *, fork: bool = False) -> Push:
    """From the variables that GitHub gives its jobs. Raises UsageError when they contradict themselves."""
    env = os.environ if environ is None else environ
    repository, server = env.get("GITHUB_REPOSITORY", ""), env.get("GITHUB_SERVER_URL", "").rstrip("/")
    if repository and not _REPOSITORY.fullmatch(repository):
        raise UsageError("GITHUB_REPOSITORY is no owner/name")
    ref, run, event = env.get("GITHUB_REF", ""), env.get("GITHUB_RUN_ID", ""), _event(env)
    return Push(
        # Of a fork's pull request GITHUB_SHA is the merge, and the head is what is checked out.
        commit=env.get("GITHUB_SHA", "") if ref and not fork else "",
        branch=ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") and not fork else "",
        default_branch=_text(event, "repository", "default_branch") or "main",
        repository=repository,
        server=server,
        run_url=f"{server}/{repository}/actions/runs/{run}" if server and repository and run.isdigit() else "",
        token="" if fork else env.get("GITHUB_TOKEN", ""),
        needs=_needs(env.get("GITML_NEEDS", "")),
        fork=fork,
        base=_text(event, "pull_request", "base", "ref") if fork else "",
    )


def _event(env: Mapping[str, str]) -> Any:
    try:
        return json.loads(Path(env["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError, ValueError, RecursionError):
        return {}


def _text(value: Any, *path: str) -> str:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _needs(text: str) -> dict[str, str]:
    """Job → success, failure, cancelled or skipped, as GitHub's context ``needs`` says."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return {name: _text(job, "result") for name, job in found.items()} if isinstance(found, dict) else {}
