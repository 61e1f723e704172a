"""What GitLab tells a job, by environment variables and the payload of a webhook that triggered its pipeline.

https://docs.gitlab.com/ci/variables/predefined_variables/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitml.forges.gitlab.address import token_of
from gitml.forges.job import ForgeJob, JobCause, PullEvent

_CAUSES = {
    "push": JobCause.PUSH,
    "merge_request_event": JobCause.PULL,
    "web": JobCause.MANUAL,
    "api": JobCause.MANUAL,
    "trigger": JobCause.PULL_TRUSTED,
}
_ACTIONS = {"open": "opened", "reopen": "reopened", "update": "synchronize"}
PAYLOAD = "TRIGGER_PAYLOAD"


def job(env: Mapping[str, str]) -> ForgeJob:
    """The job that this process belongs to. What GitLab does not say is left out, never guessed.

    A pipeline that a webhook triggered runs what the default branch has: the merge request that the payload names is
    where to look, and no more than that.
    """
    source, branch = env.get("CI_PIPELINE_SOURCE", ""), env.get("CI_COMMIT_BRANCH", "")
    pull = _own_pull(env) if source == "merge_request_event" else _told_pull(env) if source == "trigger" else None
    cause = _CAUSES.get(source, JobCause.OTHER)
    return ForgeJob(
        is_ci=env.get("GITLAB_CI") == "true",
        cause=JobCause.OTHER if cause is JobCause.PULL_TRUSTED and pull is None else cause,
        repository=env.get("CI_PROJECT_PATH", ""),
        web=env.get("CI_SERVER_URL", "").rstrip("/"),
        default_branch=env.get("CI_DEFAULT_BRANCH", ""),
        ref=f"refs/heads/{branch}" if branch else env.get("CI_MERGE_REQUEST_REF_PATH", ""),
        commit=env.get("CI_COMMIT_SHA", ""),
        run=_number(env.get("CI_PIPELINE_ID")),
        attempt=1 if env.get("CI_PIPELINE_ID") else 0,
        run_url=env.get("CI_PIPELINE_URL", ""),
        token=token_of(env) or env.get("CI_JOB_TOKEN", ""),
        actor=env.get("GITLAB_USER_LOGIN", ""),
        actor_id=_number(env.get("GITLAB_USER_ID")),
        inside=True,
        pull=pull,
    )


def run_page(home: str, run: int) -> str:
    """The page of a pipeline; ``home`` is the project's."""
    return f"{home}/-/pipelines/{run}"


def _own_pull(env: Mapping[str, str]) -> PullEvent | None:
    number = _number(env.get("CI_MERGE_REQUEST_IID"))
    if not number:
        return None
    return PullEvent(
        number,
        "synchronize",
        branch=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", ""),
        # Of a pipeline for the merged result this is the branch's own commit.
        commit=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or env.get("CI_COMMIT_SHA", ""),
        repository=env.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", ""),
        base=env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""),
    )


def _told_pull(env: Mapping[str, str]) -> PullEvent | None:
    try:
        told = json.loads(Path(env[PAYLOAD]).read_bytes())
    except (KeyError, OSError, ValueError, RecursionError):
        return None
    if _at(told, "object_kind") not in ("merge_request", "note"):
        return None
    about = "object_attributes" if _at(told, "object_kind") == "merge_request" else "merge_request"
    number = _number(_at(told, about, "iid"))
    if not number:
        return None
    action = _text(told, "object_attributes", "action")
    return PullEvent(
        number,
        _ACTIONS.get(action, action),
        branch=_text(told, about, "source_branch"),
        commit=_text(told, about, "last_commit", "id"),
        repository=_text(told, about, "source", "path_with_namespace"),
        base=_text(told, about, "target_branch"),
    )


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any, *path: str) -> str:
    found = _at(value, *path)
    return found if isinstance(found, str) else ""


def _number(value: Any) -> int:
    """A positive whole number, in digits or as JSON has it; 0 for anything else."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,17}", text) else 0
