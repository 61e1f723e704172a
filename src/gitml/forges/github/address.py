"""Where on GitHub a job or a clone is: read from variables and URLs, without a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gitml.errors import UsageError
from gitml.forges.settings import Settings, host_of, place_of

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


def pull_ref(number: int) -> str:
    """Where the head of a pull request is, a fork's too."""
    return f"refs/pull/{number}/head"
