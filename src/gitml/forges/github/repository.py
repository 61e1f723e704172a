"""GitHub, GitHub Enterprise and the sandbox, through their REST API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from urllib.parse import urlsplit

from gitml.errors import UsageError
from gitml.forges.base import About
from gitml.forges.github.comments import GithubComments
from gitml.forges.github.commits import GithubCommits
from gitml.forges.github.deployments import GithubDeployments
from gitml.forges.github.guards import GithubGuards
from gitml.forges.github.merges import GithubMerges
from gitml.forges.github.people import GithubPeople
from gitml.forges.github.pulls import GithubPulls
from gitml.forges.github.rest import Rest, absent_is_none
from gitml.forges.github.reviews import GithubReviews
from gitml.forges.github.runs import GithubRuns
from gitml.forges.settings import Settings, host_of, place_of
from gitml.http import HttpError, Patience, connected

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}")


def recognises(env: Mapping[str, str], remote: str) -> bool:
    """A job of GitHub's Actions (the sandbox's too), or a remote on github.com."""
    return env.get("GITHUB_ACTIONS") == "true" or urlsplit(place_of(remote)[0]).hostname == "github.com"


def _unnamed(repository: str, remote: str) -> UsageError:
    hint = "set GITHUB_REPOSITORY=owner/name, or add a Git remote called origin"
    if repository:
        return UsageError("GITHUB_REPOSITORY names no repository", hint)
    if not remote:
        return UsageError("no repository of a forge is named", hint)
    return UsageError(
        "the Git remote origin is a folder or file, and no repository of a forge",
        "git remote set-url origin URL, or set GITHUB_SERVER_URL and GITHUB_REPOSITORY=owner/name",
    )


def settings(env: Mapping[str, str], remote: str) -> Settings:
    """From the variables that GitHub gives to jobs; what they lack, from the URL of the Git remote.

    GITML_BOT names the account of the token where the forge does not tell. Raises UsageError when no repository is
    named.
    """
    web, named = place_of(remote)
    repository = env.get("GITHUB_REPOSITORY") or named
    told = env.get("GITHUB_SERVER_URL") or web
    web = (told or "https://github.com").rstrip("/")
    if not _REPOSITORY.fullmatch(repository):
        raise _unnamed(repository, remote)
    return Settings(
        api=(env.get("GITHUB_API_URL") or _api_of(web)).rstrip("/"),
        web=web,
        repository=repository,
        token=(env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or "").strip(),
        bot=env.get("GITML_BOT", "").strip(),
        host=host_of(told),
    )


def _api_of(web: str) -> str:
    return "https://api.github.com" if urlsplit(web).hostname == "github.com" else f"{web}/api/v3"


class Github:
    """One repository, as ``base.Forge`` and ``governed.GovernedForge`` describe it."""

    def __init__(self, rest: Rest, bot: str = "") -> None:
        self._rest, self._bot = rest, bot
        self.pulls = GithubPulls(rest)
        self.comments = GithubComments(rest)
        self.commits = GithubCommits(rest)
        self.runs = GithubRuns(rest)
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
        yield Github(Rest(http, settings.repository), settings.bot)


def pull_ref(number: int) -> str:
    """Where the head of a pull request is, a fork's too."""
    return f"refs/pull/{number}/head"
