"""GitHub's workflows: the members of ``gitml.ci.table.Renderer``."""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github.layout import FOLDER, file_name, header

PATTERN = f"{FOLDER}/gitml-*.yml"

__all__ = ["PATTERN", "file_name", "header", "render"]


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
    # With the texts come policy.yaml and all gates; jobs import this room for the names of workflows alone.
    from gitml.ci.github.workflows import render as rendered

    return rendered(source)
