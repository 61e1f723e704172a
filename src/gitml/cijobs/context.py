"""Where a CI run takes place: the push it is about, as the forge's environment variables say it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.errors import UsageError
from gitml.forges.table import job_of
from gitml.git.orphan import Remote
from gitml.output import printable

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")


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
    """From what the forge tells its jobs. Raises UsageError when that contradicts itself."""
    env = os.environ if environ is None else environ
    job = job_of(env)
    if job.repository and not _REPOSITORY.fullmatch(job.repository):
        raise UsageError(f"{printable(job.repository)} is not the owner/name of a repository")
    return Push(
        # Of a fork's pull request the job's commit is the merge, and the head is what is checked out.
        commit=job.commit if job.ref and not fork else "",
        branch="" if fork else job.branch,
        default_branch=job.default_branch or "main",
        repository=job.repository,
        server=job.web,
        run_url=job.run_url,
        token="" if fork else job.token,
        needs=_needs(env.get("GITML_NEEDS", "")),
        fork=fork,
        base=job.pull.base if fork and job.pull else "",
    )


def _needs(text: str) -> dict[str, str]:
    """Job → success, failure, cancelled or skipped, as GitHub's context ``needs`` says."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    jobs = found.items() if isinstance(found, dict) else ()
    return {name: str(job.get("result", "")) for name, job in jobs if isinstance(job, dict)}
