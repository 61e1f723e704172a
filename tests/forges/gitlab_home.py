"""The repository of the conformance suite on GitLab, as the stand-in is one."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from forges.gitlab_standin import Standin
from forges.homes import JOBS, QUICK, MemoryHome, peopled
from gitml.forges.governed import GovernedForge
from gitml.forges.settings import Settings
from gitml.forges.table import adapter, connect

_BEGAN = datetime(2026, 11, 30, 8, tzinfo=UTC)
# What is another thing on GitLab, or is not there: tests/forges/test_gitlab.py says what is there instead.
_GITLAB_LACKS = frozenset(
    {
        "contexts",
        "dismissals",
        "environments of their own",
        "job tokens",
        "passing administrators",
        "rebase",
        "teams asked",
    }
)


@dataclass
class GitlabHome(MemoryHome):
    """The forge in memory behind the stand-in for GitLab, over HTTP; what people do goes to the forge itself."""

    standin: Standin | None = None
    lacks: frozenset[str] = _GITLAB_LACKS

    @property
    def server(self) -> Standin:
        assert self.standin is not None
        return self.standin

    def as_(self, login: str = "ada") -> AbstractContextManager[GovernedForge]:
        return connect(self.settings(login), patience=QUICK)

    def as_job(self) -> AbstractContextManager[GovernedForge]:
        return connect(self.job_settings(), patience=QUICK)

    def settings(self, login: str = "ada") -> Settings:
        told = {"CI_SERVER_URL": self.server.url, "CI_PROJECT_PATH": self.repository}
        return adapter("gitlab").settings({**told, "GITLAB_TOKEN": self.server.token_of(self.forge, login)}, "")

    def job_settings(self) -> Settings:
        return self.settings(JOBS)

    def remote(self, login: str = "ada") -> str:
        place = self.server.url.removeprefix("http://")
        return f"http://oauth2:{quote(self.server.token_of(self.forge, login), safe='')}@{place}/{self.repository}.git"

    def pushed(self, login: str) -> None:
        """The server knows by the token."""


def gitlab_home(folder: Path, standin: Standin, *, guild: bool = False, premium: bool = True) -> GitlabHome:
    """The same people and rights as elsewhere. Its clock goes a second further with each look, so no two things fall
    into one."""
    seconds = itertools.count()
    made = peopled(folder, guild=guild, now=lambda: _BEGAN + timedelta(seconds=next(seconds)))
    made.as_("ada").guards.let_jobs_open(yes=True)
    standin.add(made, premium=premium)
    return GitlabHome(made, standin=standin)
