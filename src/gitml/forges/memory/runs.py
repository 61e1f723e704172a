"""Runs of workflows and their jobs: kept, not carried out."""

from __future__ import annotations

from dataclasses import replace

from gitml.forges.base import Artifact, Job, Run
from gitml.forges.memory.session import Session, one_of, refused

_WORKFLOWS = ".github/workflows"


class MemoryRuns:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, run: int) -> Run:
        with self._session.turn() as state:
            return one_of(state.runs, run, "run")

    def jobs(self, run: int) -> tuple[Job, ...]:
        with self._session.turn() as state:
            one_of(state.runs, run, "run")
            return tuple(state.jobs.get(run, ()))

    def of_commit(self, commit: str) -> tuple[Run, ...]:
        with self._session.turn() as state:
            return tuple(run for run in reversed(state.runs.values()) if run.commit == commit)

    def artifacts(self, run: int) -> tuple[Artifact, ...]:
        with self._session.turn() as state:
            one_of(state.runs, run, "run")
            return tuple(artifact for artifact, _ in state.artifacts.get(run, {}).values())

    def download(self, artifact: int) -> bytes:
        with self._session.turn() as state:
            every = {number: found for kept in state.artifacts.values() for number, found in kept.items()}
            found, content = one_of(every, artifact, "artifact")
            if found.is_expired:
                raise refused(410, f"artifact {artifact} has expired")
            return content

    def start(self, workflow: str, branch: str) -> None:
        with self._session.turn("write") as state:
            host, path = self._session.host, f"{_WORKFLOWS}/{workflow}"
            commit = host.head(branch)
            if commit is None or host.history().repository.entry(commit, path) is None:
                raise refused(404, f"the branch {branch} has no workflow {workflow}")
            number = state.number()
            about = ("workflow_dispatch", path, branch, commit, state.repository)
            url, by = host.page(f"runs/{number}"), self._session.login
            state.runs[number] = Run(number, 1, *about, "queued", "", url, by)

    def rerun(self, job: int) -> bool:
        with self._session.turn("write") as state:
            run = next((state.runs[n] for n, jobs in state.jobs.items() if any(j.id == job for j in jobs)), None)
            if run is None or not run.is_over:
                return False
            by = self._session.login
            state.runs[run.id] = replace(run, attempt=run.attempt + 1, status="queued", conclusion="", by=by)
            state.jobs[run.id] = [_again(j) if j.id == job else j for j in state.jobs[run.id]]
            return True


def _again(job: Job) -> Job:
    return replace(job, status="queued", conclusion="", runner="")
