"""``gitml ci dispatch``: a pull request that opens or becomes ready is no push, so its branch is trained by hand.

That run finds the pull request, comments on it and, when it is ready, commits; what a record covers is restored. A run
that is on its way does the same, so nothing is started beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.ci.github_layout import file_name
from gitml.errors import UsageError
from gitml.forges.base import Run, Runs
from gitml.repo.git import Git
from gitml.spec import load_application

LABEL = "gitml:commit"


@dataclass(frozen=True)
class Dispatched:
    """The workflow file that was started on ``branch``; without one, ``reason`` says why not."""

    workflow: str
    branch: str
    reason: str


def dispatch(root: Path, env: Mapping[str, str], runs: Runs) -> Dispatched:
    """Start training on the branch of the pull request that the event in ``env`` is about, where that is of use.

    Raises UsageError when this job was not started by a pull request, HttpError when the forge refuses.
    """
    event = _event(env)
    try:
        head = event["pull_request"]["head"]
        branch, home = str(head["ref"]), str((head["repo"] or {}).get("full_name", ""))
        action, here = str(event.get("action")), str(event["repository"]["full_name"])
    except (KeyError, TypeError, AttributeError) as exc:
        raise _no_event() from exc
    if home.lower() != here.lower():
        return Dispatched("", branch, "it comes from a fork, whose training is a workflow of its own")
    if action == "labeled" and (event.get("label") or {}).get("name") != LABEL:
        return Dispatched("", branch, f"the label is not {LABEL}")
    application = load_application(root).application
    workflow = file_name(application, Git(root).prefix, "train")
    if run := _on_its_way(runs, workflow, branch, str(head.get("sha", ""))):
        return Dispatched("", branch, f"{run.url} trains this commit already, and will find the pull request")
    runs.start(workflow, branch)
    return Dispatched(workflow, branch, f"the pull request was {action.replace('_', ' ')}")


def _on_its_way(runs: Runs, workflow: str, branch: str, commit: str) -> Run | None:
    """A run that trains this commit and has not begun to look for its pull request, which its job `commit` does."""
    for run in runs.of_commit(commit) if commit else ():
        mine = run.workflow.rpartition("/")[2] == workflow and run.branch == branch
        if mine and run.event in ("push", "workflow_dispatch") and run.status != "completed":
            jobs = [job for job in runs.jobs(run.id) if job.name == "commit"]
            if all(job.status not in ("in_progress", "completed") for job in jobs):
                return run
    return None


def _event(env: Mapping[str, str]) -> dict[str, Any]:
    try:
        event = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError, ValueError) as exc:
        raise _no_event() from exc
    if not isinstance(event, dict):
        raise _no_event()
    return event


def _no_event() -> UsageError:
    return UsageError(
        "this job was not started by a pull request", "call it in the workflow that `gitml ci render` writes"
    )
