"""Forges by name. A new one is a module with the members of ``Adapter``, and a row here.

Other distributions add theirs by an entry point of the group ``gitml.forges``: its name is the forge's, its value the
module.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

from gitml.errors import UsageError
from gitml.forges import elsewhere
from gitml.forges.job import ForgeJob
from gitml.forges.settings import Settings
from gitml.retries import Patience

if TYPE_CHECKING:  # jobs that ask no forge need none of its types
    from gitml.forges.governed import GovernedForge

# name: module
FORGES: dict[str, str] = {
    "github": "gitml.forges.github",
    "gitlab": "gitml.forges.gitlab",
    "memory": "gitml.forges.memory",
}
# The sandbox and GitHub Enterprise have addresses of their own, so nothing in a URL tells them.
DEFAULT = "github"
GROUP = "gitml.forges"


class Adapter(Protocol):
    """One kind of forge."""

    def recognises(self, env: Mapping[str, str], remote: str) -> bool:
        """Whether a job's variables, or the URL of a Git remote, are surely this forge's."""
        ...

    def settings(self, env: Mapping[str, str], remote: str) -> Settings:
        """From the variables that the forge gives to jobs; what they lack, from the URL of the Git remote.

        Raises UsageError when no repository is named.
        """
        ...

    def connect(
        self, settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = ...
    ) -> AbstractContextManager[GovernedForge]:
        """A connection. Raises UsageError without a token; ``note`` hears of calls that are repeated."""
        ...

    def job(self, env: Mapping[str, str]) -> ForgeJob:
        """What the forge tells the job that this process belongs to."""
        ...

    def run_page(self, home: str, run: int) -> str:
        """The page of a run; ``home`` is the repository's."""
        ...

    def pull_ref(self, number: int) -> str:
        """The ref under which a pull request's head can be fetched, a fork's too."""
        ...


def adapter(name: str) -> Adapter:
    """The forge of this name. Raises UsageError for one that is not installed."""
    if name in FORGES:
        return cast(Adapter, importlib.import_module(FORGES[name]))
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise UsageError(f"gitml knows no forge called {name!r}", f"known are: {', '.join(sorted(FORGES))}")
    return cast(Adapter, found.load())


def settings_from(env: Mapping[str, str], remote: str = "") -> Settings:
    """Which repository of which forge. GITML_FORGE names the forge; else the first that recognises where it is.

    GITML_BOT names the account of the token where the forge does not tell, and GITML_TOKEN is the token on every
    forge, where its own variable is not set. Raises UsageError when no repository is named.
    """
    remote = remote or env.get(elsewhere.REMOTE, "")
    found = adapter(_name(env, remote)).settings(env, remote)
    return found if found.token else replace(found, token=env.get(elsewhere.TOKEN, "").strip())


def connect(
    settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = lambda _: None
) -> AbstractContextManager[GovernedForge]:
    """A connection to the settings' forge. Raises UsageError without a token."""
    return adapter(settings.forge).connect(settings, patience=patience, note=note)


def job_of(env: Mapping[str, str]) -> ForgeJob:
    """The job of CI that this process belongs to, if any: the forge's own, or one elsewhere."""
    if not env.get(elsewhere.SYSTEM):
        return adapter(_name(env, "")).job(env)
    try:
        return elsewhere.job(env, settings_from(env))
    except UsageError:  # a folder, for example; who needs the forge says so
        return elsewhere.job(env, None)


def _name(env: Mapping[str, str], remote: str) -> str:
    named = env.get("GITML_FORGE", "").strip()
    return named or next((name for name in FORGES if adapter(name).recognises(env, remote)), DEFAULT)
