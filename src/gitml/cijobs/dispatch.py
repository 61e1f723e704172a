"""``gitml ci dispatch``: a pull request that opens or becomes ready is no push, so its branch is trained by hand.

That run finds the pull request, comments on it and, when it is ready, commits; what a record covers is restored. A run
that is on its way does the same, so nothing is started beside it. Of a run that is over its job `commit` goes again: it
takes the fragments that the training left, and checks them as it did the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml.ci.github.layout import file_name
from gitml.errors import UsageError
from gitml.forges.base import Run, Runs
from gitml.forges.table import job_of
from gitml.git.commands import Git
from gitml.spec import load_application

LABEL = "gitml:commit"


@dataclass(frozen=True)
class Dispatched:
    """The workflow file that was started on ``branch``; without one, ``reason`` says why not.

    ``again`` is the address of a run that goes on from its job `commit` instead.
    """

    workflow: str
    branch: str
    reason: str
    again: str = ""


def dispatch(root: Path, env: Mapping[str, str], runs: Runs) -> Dispatched:
    """Start training on the branch of the pull request that the event in ``env`` is about, where that is of use.

    Raises UsageError when this job was not started by a pull request, HttpError when the forge refuses.
    """
    job = job_of(env)
    pull, branch = job.pull, job.pull.branch if job.pull else ""
    if pull is None or not branch or not pull.action or not job.repository:
        raise UsageError(
            "this job was not started by a pull request", "call it in the workflow that `gitml ci render` writes"
        )
    if pull.repository.lower() != job.repository.lower():
        return Dispatched("", branch, "it comes from a fork, whose training is a workflow of its own")
    if pull.action == "labeled" and pull.label != LABEL:
        return Dispatched("", branch, f"the label is not {LABEL}")
    application = load_application(root).application
    workflow = file_name(application, Git(root).prefix, "train")
    commit, why = pull.commit, f"the pull request was {pull.action.replace('_', ' ')}"
    trainings = [run for run in runs.of_commit(commit) if _trains(run, workflow, branch)] if commit else []
    if run := _on_its_way(runs, trainings):
        return Dispatched("", branch, f"{run.url} trains this commit already, and will find the pull request")
    if run := _again(runs, trainings):
        return Dispatched("", branch, f"{why}, and nothing has changed since {run.url}", run.url)
    runs.start(workflow, branch)
    return Dispatched(workflow, branch, why)


def _trains(run: Run, workflow: str, branch: str) -> bool:
    mine = run.workflow.rpartition("/")[2] == workflow and run.branch == branch
    return mine and run.event in ("push", "workflow_dispatch")


def _on_its_way(runs: Runs, trainings: Sequence[Run]) -> Run | None:
    """A run that has not begun to look for its pull request, which its job `commit` does."""
    for run in trainings:
        if not run.is_over:
            jobs = [job for job in runs.jobs(run.id) if job.name == "commit"]
            if all(job.status not in ("in_progress", "completed") for job in jobs):
                return run
    return None


def _again(runs: Runs, trainings: Sequence[Run]) -> Run | None:
    """The newest run, when it is over and went well, with its job `commit` begun again; None when that cannot be."""
    run = max(trainings, key=lambda run: run.id, default=None)
    if run is None or not run.is_over or run.conclusion != "success":
        return None
    left = [artifact for artifact in runs.artifacts(run.id) if artifact.name.startswith("fragment-")]
    job = next((job for job in runs.jobs(run.id) if job.name == "commit"), None)
    if job is None or not left or any(artifact.is_expired for artifact in left) or not runs.rerun(job.id):
        return None
    return run
