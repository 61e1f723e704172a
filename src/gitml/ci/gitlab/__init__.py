"""GitLab's CI: the members of ``gitml.ci.table.Renderer``, and the schedules that GitLab keeps outside of its files."""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.gitlab.layout import FOLDER, MAIN_FILE, file_name, header

PATTERN = f"{FOLDER}/gitml-*.yml"
# A project has one pipeline for all its files: names of jobs of two applications would meet in it.
ONE_APPLICATION = True
# What a pipeline of a branch runs is decided by all of these, and not by the file of trainings alone.
DECIDES = (MAIN_FILE, FOLDER)

__all__ = ["DECIDES", "ONE_APPLICATION", "PATTERN", "file_name", "header", "render", "schedules"]


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
    # With the texts come policy.yaml and all gates; jobs import this room for the names of files alone.
    from gitml.ci.gitlab.pipeline import render as rendered

    return rendered(source)


def schedules(source: CiSource) -> dict[str, str]:
    """The schedules of the default branch that its pipelines need: description → times, as cron has them."""
    from gitml.ci.gitlab.pipeline import schedules as wanted

    return wanted(source)
