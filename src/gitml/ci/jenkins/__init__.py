"""Jenkins's pipelines, and the script that makes their jobs: the members of ``gitml.ci.table.Renderer``."""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.jenkins.layout import FOLDER, file_name, header, path_of

PATTERN = f"{FOLDER}/gitml*.[Jg]*"

__all__ = ["PATTERN", "file_name", "header", "render"]


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
    # With the texts come policy.yaml and all gates; jobs import this room for the names of pipelines alone.
    from gitml.ci.jenkins.branches import report, train
    from gitml.ci.jenkins.jobs import full_name, jobs
    from gitml.ci.jenkins.pipelines import apart, pipeline
    from gitml.ci.plan import plan

    planned = apart(plan(source))
    files = {path_of(source, "train"): train(source), path_of(source, "report"): report(source)} if source.jobs else {}
    for one in planned:
        files[path_of(source, one.kind)] = pipeline(source, one, [full_name(source, kind) for kind in one.after])
    # Job DSL takes the name of a script for that of a class.
    name = f"gitml_{source.application.application}" if source.folder else "gitml"
    files[f"{FOLDER}/{''.join(c if c.isalnum() else '_' for c in name)}_jobs.groovy"] = jobs(
        source, [one.kind for one in planned]
    )
    return {path: "\n".join([header(source.folder), "", *lines, ""]) for path, lines in files.items()}
