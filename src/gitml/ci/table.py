"""CI systems by name. A new one is a module with the members of ``Renderer``, and a row here.

Other distributions add theirs by an entry point of the group ``gitml.ci``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Protocol, cast

from gitml.ci.base import CiSource
from gitml.errors import UsageError

# name: module
RENDERERS: dict[str, str] = {
    "github": "gitml.ci.github",
    "gitlab": "gitml.ci.gitlab",
    "jenkins": "gitml.ci.jenkins",
    "airflow": "gitml.ci.airflow",
}
GROUP = "gitml.ci"


class Renderer(Protocol):
    """One kind of CI system, whose files gitml.yaml and policy.yaml decide. It reads and writes nothing."""

    @property
    def PATTERN(self) -> str:  # noqa: N802 — a constant of the module
        """The files that may be rendered ones, as a glob from the top of the repository."""
        ...

    def header(self, folder: str) -> str:
        """The first line of every file that is rendered for the application in ``folder``, and of no other."""
        ...

    def file_name(self, application: str, folder: str, kind: str) -> str:
        """The name of the workflow of a ``kind``: train, gate, main …"""
        ...

    def render(self, source: CiSource) -> dict[str, str]:
        """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
        ...


def workflow_of(name: str, application: str, folder: str, kind: str) -> str:
    """The name of a workflow of a kind, as the forge starts it."""
    return decides(name, application, folder, kind)[0].rpartition("/")[2]


def decides(name: str, application: str, folder: str, kind: str) -> tuple[str, ...]:
    """The workflow of a kind, from the top of the repository; behind it what else decides what a run of it does."""
    system = renderer(name)
    place = system.PATTERN.rpartition("/")[0]
    return (f"{place}/{system.file_name(application, folder, kind)}", *getattr(system, "DECIDES", ()))


def deciding(names: Iterable[str]) -> tuple[str, ...]:
    """Files, and folders with a slash at their end, that decide what jobs of these systems do, from the top.

    All of a folder: a file beside the rendered ones may ask for the same keys.
    """
    found: list[str] = []
    for system in map(renderer, names):
        folder = system.PATTERN.rpartition("/")[0]
        also = (path for path in getattr(system, "DECIDES", ()) if path != folder)
        found += [f"{folder}/", *also]
    return tuple(dict.fromkeys(found))


def renderer(name: str) -> Renderer:
    """The renderer of this name. Raises UsageError for one that is not installed."""
    if name in RENDERERS:
        return cast(Renderer, importlib.import_module(RENDERERS[name]))
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise UsageError(
            f"gitml renders nothing for a CI system called {name!r}",
            f"ci.system may be: {', '.join(sorted(RENDERERS))}",
        )
    return cast(Renderer, found.load())
