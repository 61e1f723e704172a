"""``gitml ci wait``: a job that no runner takes is reported on, instead of a pull request that waits without a word.

GitHub queues a job for up to a day, and nothing of the run tells anybody meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml.cijobs.context import Push, push_of
from gitml.cijobs.handover import folder_of
from gitml.cijobs.publish import PublishOrder, World, publish
from gitml.errors import UsageError
from gitml.files import write_file
from gitml.forges.base import Job, Runs
from gitml.forges.table import job_of
from gitml.output import seconds
from gitml.pipelines.jobs import jobs_of
from gitml.reports.exchange import fitted, to_json
from gitml.reports.facts import Report
from gitml.spec import load_application
from gitml.spec.dvcfiles import load_pipeline

_REPORT = "report-waiting.json"


@dataclass(frozen=True)
class Waited:
    """The runner that took the job, or the ``problem`` that was posted. Both are empty for a job that is not to run."""

    runner: str
    problem: str


@dataclass(frozen=True)
class WaitTimes:
    """Seconds to wait in all, seconds between two looks."""

    total: float
    between: float = 10.0
    sleep: Callable[[float], None] = time.sleep


def wait(root: Path, name: str, runs: Runs, world: World, patience: WaitTimes) -> Waited:
    """Until a runner has the job ``name`` of this run; if none comes in time, say so where the report would be.

    The run goes on: when a runner comes after all, its report takes the place of this one.
    """
    labels = _labels(root, name)
    run = _run(world.env)
    end = time.monotonic() + patience.total
    while True:
        job = next((job for job in runs.jobs(run) if job.name == name), None)
        if job is not None and _taken(job):
            return Waited(job.runner, "")
        left = end - time.monotonic()
        if left <= 0:
            break
        patience.sleep(min(patience.between, left))
    asked = f"it asks for one with the labels {', '.join(labels)}"
    problem = f"no runner took job {name} in {seconds(patience.total)}: {asked}; the run still waits for it"
    _post(root, push_of(world.env), world, problem)
    return Waited("", problem)


def _taken(job: Job) -> bool:
    return bool(job.runner) or job.status in ("in_progress", "completed")


def _labels(root: Path, name: str) -> tuple[str, ...]:
    jobs = {job.name: job for job in jobs_of(load_application(root), load_pipeline(root))}
    if name not in jobs:
        raise UsageError(f"there is no job {name}", f"jobs here: {', '.join(jobs)}")
    return jobs[name].labels


def _run(env: Mapping[str, str]) -> int:
    run = job_of(env).run
    if not run:
        raise UsageError("this is not a run of CI", "call it in the workflow that `gitml ci render` writes")
    return run


def _post(root: Path, push: Push, world: World, problem: str) -> None:
    application = load_application(root).application
    place = folder_of(root) / _REPORT
    report = Report(
        application, push.repository, push.branch, commit=push.commit, run_url=push.run_url, problem=problem
    )
    write_file(place, to_json(fitted(report)).encode())
    publish(PublishOrder(place, place.parent / "none", application, "gitml"), world)
