"""What GitLab tells a job, by environment variables and the payload of a webhook that triggered its pipeline.

https://docs.gitlab.com/ci/variables/predefined_variables/
"""

from __future__ import annotations

from collections.abc import Mapping

from gitml.forges import payload
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
        run=payload.number(env.get("CI_PIPELINE_ID")),
        attempt=1 if env.get("CI_PIPELINE_ID") else 0,
        run_url=env.get("CI_PIPELINE_URL", ""),
        token=token_of(env) or env.get("CI_JOB_TOKEN", ""),
        actor=env.get("GITLAB_USER_LOGIN", ""),
        actor_id=payload.number(env.get("GITLAB_USER_ID")),
        inside=True,
        pull=pull,
    )


def run_page(home: str, run: int) -> str:
    """The page of a pipeline; ``home`` is the project's."""
    return f"{home}/-/pipelines/{run}"


def _own_pull(env: Mapping[str, str]) -> PullEvent | None:
    number = payload.number(env.get("CI_MERGE_REQUEST_IID"))
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
    told = payload.load(env, PAYLOAD)
    if payload.at(told, "object_kind") not in ("merge_request", "note"):
        return None
    about = "object_attributes" if payload.at(told, "object_kind") == "merge_request" else "merge_request"
    number = payload.number(told, about, "iid")
    if not number:
        return None
    action = payload.text(told, "object_attributes", "action")
    return PullEvent(
        number,
        _ACTIONS.get(action, action),
        branch=payload.text(told, about, "source_branch"),
        commit=payload.text(told, about, "last_commit", "id"),
        repository=payload.text(told, about, "source", "path_with_namespace"),
        base=payload.text(told, about, "target_branch"),
    )
