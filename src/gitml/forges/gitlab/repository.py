"""A project of GitLab, through its REST API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from urllib.parse import urlsplit

from gitml.errors import UsageError
from gitml.forges.base import About
from gitml.forges.gitlab.comments import GitlabComments
from gitml.forges.gitlab.commits import GitlabCommits
from gitml.forges.gitlab.deployments import GitlabDeployments
from gitml.forges.gitlab.guards import GitlabGuards
from gitml.forges.gitlab.issues import GitlabIssues
from gitml.forges.gitlab.merges import GitlabMerges
from gitml.forges.gitlab.people import GitlabPeople
from gitml.forges.gitlab.pulls import GitlabPulls
from gitml.forges.gitlab.reviews import GitlabReviews
from gitml.forges.gitlab.runs import GitlabRuns
from gitml.forges.rest import Rest, word
from gitml.forges.settings import Settings
from gitml.http import HttpError, connected
from gitml.retries import Patience

_DEVELOPER = 30


class Gitlab:
    """One project, as ``base.Forge`` and ``governed.GovernedForge`` describe it. ``home`` is its page."""

    def __init__(self, rest: Rest, home: str, bot: str = "") -> None:
        self._rest, self._bot = rest, bot
        self.people = GitlabPeople(rest)
        self.guards = GitlabGuards(rest)
        self.pulls = GitlabPulls(rest)
        self.comments = GitlabComments(rest, home)
        self.commits = GitlabCommits(rest, self.people, self.guards)
        self.runs = GitlabRuns(rest)
        self.issues = GitlabIssues(rest)
        self.reviews = GitlabReviews(rest, self.people, home)
        self.merges = GitlabMerges(rest, self.pulls, self.comments, self.people)
        self.deployments = GitlabDeployments(rest)

    def about(self) -> About:
        shape = self._rest.one("GET", "")
        levels = [shape.number_or("permissions", kind, "access_level") for kind in ("project_access", "group_access")]
        told = shape.has("permissions", "project_access") or shape.has("permissions", "group_access")
        writes = max(levels) >= _DEVELOPER if told else False
        is_private = shape.text_or("visibility") != "public"
        return About(shape.text("path_with_namespace"), shape.text_or("default_branch"), is_private, writes)

    def me(self) -> str:
        return self._me

    @cached_property
    def _me(self) -> str:
        if self._bot:
            return self._bot
        try:
            return self._rest.one("GET", "/user").text("username")
        except HttpError as exc:
            # A job's own token is nobody's.
            if exc.status not in (401, 403, 404):
                raise
        return ""


@contextmanager
def connect(
    settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = lambda _: None
) -> Iterator[Gitlab]:
    """A connection. Raises UsageError without a token; ``note`` hears of calls that are repeated."""
    if not settings.token:
        raise UsageError(
            "there is no token for the forge", f"set GITLAB_TOKEN, made on {urlsplit(settings.web).netloc}"
        )
    headers = {"Accept": "application/json"}
    with connected(settings.api, settings.token, patience=patience, note=note, headers=headers) as http:
        yield Gitlab(
            Rest(http, settings.repository, f"projects/{word(settings.repository)}"), settings.home, settings.bot
        )
