"""What GitHub tells a job, by environment variables and the file of the event.

https://docs.github.com/actions/reference/workflows-and-actions/variables and
https://docs.github.com/webhooks/webhook-events-and-payloads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def job(env: Mapping[str, str]) -> ForgeJob:
    """The job that this process belongs to. What the event's file lacks is left out, never guessed."""
    event = _event(env)
    web = env.get("GITHUB_SERVER_URL", "").rstrip("/")
    repository = env.get("GITHUB_REPOSITORY", "") or _text(event, "repository", "full_name")
    run = _number(env.get("GITHUB_RUN_ID"))
    return ForgeJob(
        is_ci=env.get("GITHUB_ACTIONS") == "true",
        cause=_CAUSES.get(env.get("GITHUB_EVENT_NAME", ""), JobCause.OTHER),
        repository=repository,
        web=web,
        default_branch=_text(event, "repository", "default_branch"),
        ref=env.get("GITHUB_REF", ""),
        commit=env.get("GITHUB_SHA", ""),
        run=run,
        attempt=min(_number(env.get("GITHUB_RUN_ATTEMPT")), 999_999),
        run_url=run_page(f"{web}/{repository}", run) if web and repository and run else "",
        token=env.get("GITHUB_TOKEN", ""),
        actor=env.get("GITHUB_ACTOR", ""),
        actor_id=_number(env.get("GITHUB_ACTOR_ID")),
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


def _event(env: Mapping[str, str]) -> Any:
    try:
        return json.loads(Path(env["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError, ValueError, RecursionError):
        return {}


def _pull(event: Any) -> PullEvent | None:
    if not isinstance(_at(event, "pull_request"), dict):
        return None
    return PullEvent(
        _number(_at(event, "pull_request", "number")),
        _text(event, "action"),
        branch=_text(event, "pull_request", "head", "ref"),
        commit=_text(event, "pull_request", "head", "sha"),
        repository=_text(event, "pull_request", "head", "repo", "full_name"),
        base=_text(event, "pull_request", "base", "ref"),
        label=_text(event, "label", "name"),
    )


def _ended(event: Any) -> EndedRun | None:
    run, commit = _number(_at(event, "workflow_run", "id")), _text(event, "workflow_run", "head_sha")
    if not _SHA.fullmatch(commit):
        return None
    pulls = _at(event, "workflow_run", "pull_requests")
    return EndedRun(
        run,
        _number(_at(event, "workflow_run", "run_attempt")) or 1,
        _CAUSES.get(_text(event, "workflow_run", "event"), JobCause.OTHER),
        commit,
        branch=_text(event, "workflow_run", "head_branch"),
        repository=_text(event, "workflow_run", "head_repository", "full_name"),
        pulls=tuple(n for pull in (pulls if isinstance(pulls, list) else []) if (n := _number(_at(pull, "number")))),
    )


def _queue(event: Any) -> tuple[str, str] | None:
    base, head = _text(event, "merge_group", "base_sha"), _text(event, "merge_group", "head_sha")
    return (base, head) if _SHA.fullmatch(base) and _SHA.fullmatch(head) else None


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
