"""GitHub, GitHub Enterprise and the sandbox, through their REST API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from gitml.errors import UsageError
from gitml.forges.base import About
from gitml.forges.github_comments import GithubComments
from gitml.forges.github_commits import GithubCommits
from gitml.forges.github_deployments import GithubDeployments
from gitml.forges.github_guards import GithubGuards
from gitml.forges.github_merges import GithubMerges
from gitml.forges.github_people import GithubPeople
from gitml.forges.github_pulls import GithubPulls
from gitml.forges.github_rest import Rest, absent_is_none
from gitml.forges.github_reviews import GithubReviews
from gitml.forges.github_runs import GithubRuns
from gitml.http import HttpError, Patience, connected

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True)
class Settings:
    """Which repository, where, and as whom. ``bot`` is the login that the token writes as, where somebody knows it."""

    api: str
    web: str
    repository: str
    token: str = field(default="", repr=False)
    bot: str = ""

    @property
    def home(self) -> str:
        """The repository's page."""
        return f"{self.web}/{self.repository}"


def settings_from(env: Mapping[str, str], remote: str = "") -> Settings:
    """From the variables that GitHub gives to jobs; what they lack, from the URL of the Git remote.

    GITML_BOT names the account of the token where the forge does not tell. Raises UsageError when no repository is
    named.
    """
    web, named = _of_remote(remote)
    repository = env.get("GITHUB_REPOSITORY") or named
    web = (env.get("GITHUB_SERVER_URL") or web or "https://github.com").rstrip("/")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            "no repository of a forge is named" if not repository else "GITHUB_REPOSITORY names no repository",
            "set GITHUB_REPOSITORY=owner/name, or add a Git remote called origin",
        )
    return Settings(
        api=(env.get("GITHUB_API_URL") or _api_of(web)).rstrip("/"),
        web=web,
        repository=repository,
        token=(env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or "").strip(),
        bot=env.get("GITML_BOT", "").strip(),
    )


def _api_of(web: str) -> str:
    return "https://api.github.com" if urlsplit(web).hostname == "github.com" else f"{web}/api/v3"


def _of_remote(url: str) -> tuple[str, str]:
    """Web address and ``owner/name`` of a remote's URL: https://…, ssh://…, or git@host:owner/name.

    >>> _of_remote("git@github.com:ada/flights.git")
    ('https://github.com', 'ada/flights')
    >>> _of_remote("http://x:secret@127.0.0.1:8471/ada/flights.git")
    ('http://127.0.0.1:8471', 'ada/flights')
    """
    short = re.fullmatch(r"(?:[^@/]+@)?([A-Za-z0-9.-]+):(?!//)(.+)", url)
    if short:
        return f"https://{short[1]}", short[2].removesuffix("/").removesuffix(".git")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return "", ""
    is_web = parts.scheme in ("http", "https")
    port = f":{parts.port}" if parts.port and is_web else ""
    scheme = parts.scheme if is_web else "https"
    return f"{scheme}://{parts.hostname}{port}", parts.path.strip("/").removesuffix(".git")


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
def github(
    settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = lambda _: None
) -> Iterator[Github]:
    """A connection. Raises UsageError without a token; ``note`` hears of calls that are repeated."""
    if not settings.token:
        raise UsageError("there is no token for the forge", "set GITHUB_TOKEN")
    with connected(settings.api, settings.token, patience=patience, note=note) as http:
        yield Github(Rest(http, settings.repository), settings.bot)
