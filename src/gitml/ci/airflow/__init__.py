"""Airflow's DAGs: the members of ``gitml.ci.table.Renderer``. An orchestrator beside a CI system, which decides."""

from __future__ import annotations

from gitml.ci.base import CiSource

FOLDER = "dags"
PATTERN = f"{FOLDER}/gitml_*.py"

__all__ = ["PATTERN", "file_name", "header", "render"]


def header(folder: str) -> str:
    """The first line of every file that is rendered for the application in ``folder``, and of no other."""
    place = f"{folder}/gitml.yaml" if folder else "gitml.yaml"
    return f"# Rendered from {place}: do not edit, run `gitml ci render`."


def file_name(application: str, folder: str, kind: str) -> str:
    """One file holds all DAGs of an application.

    >>> file_name("flights", "apps/flights", "train")
    'gitml_flights.py'
    """
    return f"gitml_{''.join(c if c.isalnum() else '_' for c in application)}.py"


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
    from gitml.ci.airflow.dags import dags, refuse_filled

    refuse_filled(source)
    path = f"{FOLDER}/{file_name(source.application.application, source.folder, '')}"
    return {path: f"{header(source.folder)}\n{dags(source)}"}
