"""What GitHub tells a job, by environment variables and the file of the event.

https://docs.github.com/actions/reference/workflows-and-actions/variables and
https://docs.github.com/webhooks/webhook-events-and-payloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitml.forges import payload
from gitml.forges.job import EndedRun, ForgeJob, JobCause, PullEvent

_CAUSES = {
    "push": JobCause.PUSH,
    "pull_request": JobCause.PULL,
    "pull_request_target": JobCause.PULL_TRUSTED,
    "pull_request_review": JobCause.REVIEW,
    "merge_group": JobCause.QUEUE,
    "workflow_run": JobCause.RUN,
    "workflow_dispatch": JobCause.MANUAL,
}


def job(env: Mapping[str, str]) -> ForgeJob:
    """The job that this process belongs to. What the event's file lacks is left out, never guessed."""
    event = payload.load(env, "GITHUB_EVENT_PATH")
    web = env.get("GITHUB_SERVER_URL", "").rstrip("/")
    repository = env.get("GITHUB_REPOSITORY", "") or payload.text(event, "repository", "full_name")
    run = payload.number(env.get("GITHUB_RUN_ID"))
    return ForgeJob(
        is_ci=env.get("GITHUB_ACTIONS") == "true",
        cause=_CAUSES.get(env.get("GITHUB_EVENT_NAME", ""), JobCause.OTHER),
        repository=repository,
        web=web,
        default_branch=payload.text(event, "repository", "default_branch"),
        ref=env.get("GITHUB_REF", ""),
        commit=env.get("GITHUB_SHA", ""),
        run=run,
        attempt=min(payload.number(env.get("GITHUB_RUN_ATTEMPT")), 999_999),
        run_url=run_page(f"{web}/{repository}", run) if web and repository and run else "",
        token=env.get("GITHUB_TOKEN", ""),
        actor=env.get("GITHUB_ACTOR", ""),
        actor_id=payload.number(env.get("GITHUB_ACTOR_ID")),
        again=env.get("GITHUB_TRIGGERING_ACTOR", ""),
        summary=Path(env["GITHUB_STEP_SUMMARY"]) if env.get("GITHUB_STEP_SUMMARY") else None,
        scratch=Path(env["RUNNER_TEMP"]) if env.get("RUNNER_TEMP") else None,
        pull=_pull(event),
        ended=_ended(event),
        queue=_queue(event),
    )


def run_page(home: str, run: int) -> str:
    """The page of a run; ``home`` is the repository's."""
    return f"{home}/actions/runs/{run}"


def _pull(event: Any) -> PullEvent | None:
    if not isinstance(payload.at(event, "pull_request"), dict):
        return None
    return PullEvent(
        payload.number(event, "pull_request", "number"),
        payload.text(event, "action"),
        branch=payload.text(event, "pull_request", "head", "ref"),
        commit=payload.text(event, "pull_request", "head", "sha"),
        repository=payload.text(event, "pull_request", "head", "repo", "full_name"),
        base=payload.text(event, "pull_request", "base", "ref"),
        label=payload.text(event, "label", "name"),
    )


def _ended(event: Any) -> EndedRun | None:
    run, commit = payload.number(event, "workflow_run", "id"), payload.commit(event, "workflow_run", "head_sha")
    if not commit:
        return None
    pulls = payload.at(event, "workflow_run", "pull_requests")
    return EndedRun(
        run,
        payload.number(event, "workflow_run", "run_attempt") or 1,
        _CAUSES.get(payload.text(event, "workflow_run", "event"), JobCause.OTHER),
        commit,
        branch=payload.text(event, "workflow_run", "head_branch"),
        repository=payload.text(event, "workflow_run", "head_repository", "full_name"),
        pulls=tuple(n for pull in (pulls if isinstance(pulls, list) else []) if (n := payload.number(pull, "number"))),
    )


def _queue(event: Any) -> tuple[str, str] | None:
    base, head = payload.commit(event, "merge_group", "base_sha"), payload.commit(event, "merge_group", "head_sha")
    return (base, head) if base and head else None
