"""Runs of workflows and their jobs."""

from __future__ import annotations

from gitml.forges.base import Artifact, Job, Run
from gitml.forges.rest import Rest, Shape
from gitml.http import HttpError


class GithubRuns:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def get(self, run: int) -> Run:
        return _run(self._rest.one("GET", f"actions/runs/{run}"))

    def jobs(self, run: int) -> tuple[Job, ...]:
        return tuple(_job(s) for s in self._rest.pages(f"actions/runs/{run}/jobs", wrap="jobs"))

    def of_commit(self, commit: str) -> tuple[Run, ...]:
        return tuple(_run(s) for s in self._rest.pages("actions/runs", wrap="workflow_runs", head_sha=commit))

    def artifacts(self, run: int) -> tuple[Artifact, ...]:
        return tuple(_artifact(s) for s in self._rest.pages(f"actions/runs/{run}/artifacts", wrap="artifacts"))

    def download(self, artifact: int) -> bytes:
        return self._rest.download(f"actions/artifacts/{artifact}/zip")

    def start(self, workflow: str, branch: str) -> None:
        # Twice does no harm: runs of one branch wait for each other, and the second has nothing to train.
        self._rest.call("POST", f"actions/workflows/{workflow}/dispatches", {"ref": branch})

    def rerun(self, job: int) -> bool:
        try:
            self._rest.call("POST", f"actions/jobs/{job}/rerun")
        except HttpError as exc:
            # It goes on, is older than a month, was run again fifty times: GitHub calls all of that forbidden.
            if exc.status in (403, 404, 409, 422):
                return False
            raise
        return True


def _run(shape: Shape) -> Run:
    return Run(
        id=shape.number("id"),
        attempt=shape.number_or("run_attempt", default=1),
        event=shape.text("event"),
        workflow=shape.text_or("path"),
        branch=shape.text_or("head_branch"),
        commit=shape.text("head_sha"),
        repository=shape.text_or("head_repository", "full_name"),
        status=shape.text_or("status"),
        conclusion=shape.text_or("conclusion"),
        url=shape.text("html_url"),
        by=shape.text_or("triggering_actor", "login") or shape.text_or("actor", "login"),
    )


def _artifact(shape: Shape) -> Artifact:
    size = shape.number_or("size_in_bytes")
    return Artifact(shape.number("id"), shape.text("name"), size, shape.flag("expired"))


def _job(shape: Shape) -> Job:
    return Job(
        id=shape.number("id"),
        name=shape.text("name"),
        status=shape.text("status"),
        conclusion=shape.text_or("conclusion"),
        labels=shape.words("labels"),
        runner=shape.text_or("runner_name"),
        created=shape.text_or("created_at"),
        url=shape.text_or("html_url"),
    )
