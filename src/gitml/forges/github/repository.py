"""GitHub, GitHub Enterprise and the sandbox, through their REST API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from gitml.errors import UsageError
from gitml.forges.base import About
from gitml.forges.github.comments import GithubComments
from gitml.forges.github.commits import GithubCommits
from gitml.forges.github.deployments import GithubDeployments
from gitml.forges.github.guards import GithubGuards
from gitml.forges.github.issues import GithubIssues
from gitml.forges.github.merges import GithubMerges
from gitml.forges.github.people import GithubPeople
from gitml.forges.github.pulls import GithubPulls
from gitml.forges.github.rest import GithubRest
from gitml.forges.github.reviews import GithubReviews
from gitml.forges.github.runs import GithubRuns
from gitml.forges.rest import absent_is_none
from gitml.forges.settings import Settings
from gitml.http import HttpError, connected
from gitml.retries import Patience


class Github:
    """One repository, as ``base.Forge`` and ``governed.GovernedForge`` describe it."""

    def __init__(self, rest: GithubRest, bot: str = "") -> None:
        self._rest, self._bot = rest, bot
        self.pulls = GithubPulls(rest)
        self.comments = GithubComments(rest)
        self.commits = GithubCommits(rest)
        self.runs = GithubRuns(rest)
        self.issues = GithubIssues(rest)
        self.reviews = GithubReviews(rest)
        self.merges = GithubMerges(rest)
        self.people = GithubPeople(rest)
        self.deployments = GithubDeployments(rest)
        self.guards = GithubGuards(rest)

    def about(self) -> About:
        shape = self._rest.one("GET", "")
        return About(
            shape.text("full_name"),
            shape.text_or("default_branch"),
            shape.flag("private"),
            shape.flag_or_none("permissions", "push"),
        )

    def me(self) -> str:
        return self._me

    @cached_property
    def _me(self) -> str:
        if self._bot:
            return self._bot
        try:
            with absent_is_none():
                return self._rest.one("GET", "/user").text("login")
        except HttpError as exc:
            # The tokens of apps and jobs are nobody's, and are told so.
            if exc.status != 403:
                raise
        return ""


@contextmanager
def connect(
    settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = lambda _: None
) -> Iterator[Github]:
    """A connection. Raises UsageError without a token; ``note`` hears of calls that are repeated."""
    if not settings.token:
        raise UsageError("there is no token for the forge", "set GITHUB_TOKEN")
    with connected(settings.api, settings.token, patience=patience, note=note) as http:
        yield Github(GithubRest(http, settings.repository), settings.bot)
