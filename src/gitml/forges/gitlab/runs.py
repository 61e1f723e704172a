"""Pipelines as runs, and their jobs.

One file starts all pipelines, so the pipeline's name says which work it is for: ``gitml train`` stands for the file
``.gitlab/ci/gitml-train.yml``. Each name that is started by hand on the default branch is that of a schedule there.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gitml.forges.base import Artifact, Job, Run
from gitml.forges.gitlab.words import utc
from gitml.forges.rest import Rest, Shape, absent_is_none
from gitml.http import HttpError

FOLDER = ".gitlab/ci"
_DONE = {"success": "success", "failed": "failure", "canceled": "cancelled", "skipped": "skipped"}
_EVENTS = {"api": "workflow_dispatch", "web": "workflow_dispatch", "merge_request_event": "pull_request"}
# Of artifacts that were named for the jobs of a rendered pipeline.
_TRAINS = "train-"


class GitlabRuns:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def get(self, run: int) -> Run:
        return self._run(self._rest.one("GET", f"pipelines/{run}"))

    def jobs(self, run: int) -> tuple[Job, ...]:
        return tuple(_job(s) for s in self._rest.pages(f"pipelines/{run}/jobs"))

    def of_commit(self, commit: str) -> tuple[Run, ...]:
        return tuple(self._checked(s) for s in self._rest.pages("pipelines", sha=commit))

    def _checked(self, shape: Shape) -> Run:
        """A run for which somebody set variables is none of its files alone: its event says so."""
        found = self._run(shape)
        with absent_is_none(401, 403):
            if not list(self._rest.pages(f"pipelines/{found.id}/variables")):
                return found
        return replace(found, event=f"{found.event} with variables")

    def artifacts(self, run: int) -> tuple[Artifact, ...]:
        """A job leaves one archive, which has the job's number, and is called as ``fragment-JOB`` where it trains."""
        found = []
        for shape in self._rest.pages(f"pipelines/{run}/jobs"):
            size = shape.number_or("artifacts_file", "size")
            name = shape.text("name")
            gone = not size and bool(shape.text_or("artifacts_expire_at"))
            if size or gone:
                said = f"fragment-{name}" if name.startswith(_TRAINS) else name
                found.append(Artifact(shape.number("id"), said, size, gone))
        return tuple(found)

    def download(self, artifact: int) -> bytes:
        return self._rest.download(f"jobs/{artifact}/artifacts")

    def start(self, workflow: str, branch: str) -> None:
        name = workflow_name(workflow)
        for shape in self._rest.pages("pipeline_schedules"):
            same_branch = shape.text_or("ref").removeprefix("refs/heads/") == branch
            if shape.text_or("description") == name and same_branch:
                self._rest.call("POST", f"pipeline_schedules/{shape.number('id')}/play")
                return
        if not name.endswith(" train"):
            raise HttpError(
                f"there is no schedule {name!r} on {branch}", "gitml doctor --fix makes the schedules", status=404
            )
        try:
            self._rest.call("POST", "pipeline", {"ref": branch})
        except HttpError as exc:
            # What GitHub calls not found: the branch has no such file, or is not there.
            if exc.status != 400:
                raise
            raise HttpError(
                exc.message, "is .gitlab-ci.yml on the branch, as `gitml ci render` writes it?", status=404
            ) from exc

    def rerun(self, job: int) -> bool:
        try:
            self._rest.call("POST", f"jobs/{job}/retry", repeatable=False)
        except HttpError as exc:
            if exc.status in (403, 404, 409, 422):
                return False
            raise
        return True

    def _run(self, shape: Shape) -> Run:
        status, source = shape.text_or("status"), shape.text_or("source")
        over = status in _DONE
        return Run(
            id=shape.number("id"),
            attempt=1,
            event=_EVENTS.get(source, source),
            workflow=file_of(shape.text_or("name")),
            branch=shape.text_or("ref").removeprefix("refs/heads/"),
            commit=shape.text("sha"),
            repository=self._rest.repository,
            status="completed" if over else "in_progress" if status == "running" else "queued",
            conclusion=_DONE.get(status, ""),
            url=shape.text("web_url"),
            by=shape.text_or("user", "username"),
        )


def file_of(name: str) -> str:
    """The file that the name of a pipeline stands for; empty for one that gitml did not name.

    >>> file_of("gitml flights train"), file_of("Nightly")
    ('.gitlab/ci/gitml-flights-train.yml', '')
    """
    return f"{FOLDER}/{name.replace(' ', '-')}.yml" if re.fullmatch(r"gitml( [A-Za-z0-9._-]+)+", name) else ""


def workflow_name(file: str) -> str:
    """The name of the pipelines that a file stands for, by its last words.

    >>> workflow_name("gitml-fork-report.yml"), workflow_name("gitml-flights-gate.yml")
    ('gitml fork-report', 'gitml flights gate')
    """
    stem = file.rpartition("/")[2].removesuffix(".yml").removeprefix("gitml-")
    kind = next((k for k in ("fork-report",) if stem.endswith(k)), stem.rpartition("-")[2])
    application = stem.removesuffix(kind).rstrip("-")
    return " ".join(part for part in ("gitml", application, kind) if part)


def _job(shape: Shape) -> Job:
    status = shape.text("status")
    waiting = {"waiting_for_resource": "waiting", "manual": "waiting", "running": "in_progress"}
    return Job(
        id=shape.number("id"),
        name=shape.text("name"),
        status="completed" if status in _DONE else waiting.get(status, "queued"),
        conclusion=_DONE.get(status, ""),
        labels=shape.words("tag_list"),
        runner=shape.text_or("runner", "description"),
        created=utc(shape.text_or("created_at")),
        url=shape.text_or("web_url"),
    )
