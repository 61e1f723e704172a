"""Where on GitLab a job or a clone is: read from variables and URLs, without a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gitml.errors import UsageError
from gitml.forges.settings import Settings, host_of, place_of

# Groups may lie in groups, twenty deep.
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"
_PROJECT = re.compile(rf"{_WORD}(?:/{_WORD}){{1,20}}")


def recognises(env: Mapping[str, str], remote: str) -> bool:
    """A job of GitLab's CI, or a remote on gitlab.com or on a host that is called gitlab."""
    host = urlsplit(place_of(remote)[0]).hostname or ""
    return env.get("GITLAB_CI") == "true" or host == "gitlab.com" or host.startswith("gitlab.")


def token_of(env: Mapping[str, str]) -> str:
    """The token to act with: one that somebody made. A job's own may do next to nothing, and counts in Git alone."""
    return (env.get("GITLAB_TOKEN") or env.get("GITML_TOKEN") or "").strip()


def settings(env: Mapping[str, str], remote: str) -> Settings:
    """From the variables that GitLab gives to jobs; what they lack, from the URL of the Git remote.

    GITML_BOT names the account of the token where the forge does not tell. Raises UsageError when no project is named.
    """
    web, named = place_of(remote)
    project = env.get("CI_PROJECT_PATH") or named
    told = env.get("CI_SERVER_URL") or web
    web = (told or "https://gitlab.com").rstrip("/")
    if not _PROJECT.fullmatch(project) or any(word.endswith((".git", ".atom")) for word in project.split("/")):
        what = "CI_PROJECT_PATH names no project" if env.get("CI_PROJECT_PATH") else "no project of GitLab is named"
        raise UsageError(what, "set CI_PROJECT_PATH=group/project, or add a Git remote called origin")
    return Settings(
        api=(env.get("CI_API_V4_URL") or f"{web}/api/v4").rstrip("/"),
        web=web,
        repository=project,
        token=token_of(env),
        bot=env.get("GITML_BOT", "").strip(),
        forge="gitlab",
        host=host_of(told),
        variable="GITLAB_TOKEN",
        below="/-",
        pull="merge_requests",
    )


def pull_ref(number: int) -> str:
    """Where the head of a merge request is, a fork's too."""
    return f"refs/merge-requests/{number}/head"
