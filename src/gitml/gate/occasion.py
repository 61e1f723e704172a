"""Why the gate is called: which pull requests the event of the workflow is about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.forges.base import Forge, PullRequest
from gitml.http import HttpError

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REVIEW = "pull_request_review"


@dataclass(frozen=True)
class Queue:
    """A merge queue's commit ``head``, on top of ``base``."""

    base: str
    head: str


@dataclass(frozen=True)
class Occasion:
    """``numbers`` of pull requests; None: every open one. ``queue`` where it is a merge queue's commit instead.

    ``official``: called by the default branch's workflow, so statuses are posted and evidence is signed.
    """

    numbers: tuple[int, ...] | None = None
    queue: Queue | None = None
    official: bool = False


def occasion(env: Mapping[str, str], forge: Forge, default_branch: str) -> Occasion:
    """From the variables and the event that GitHub gives a job. Raises UsageError for an event that says too little."""
    if env.get("GITHUB_ACTIONS") != "true":
        return Occasion(numbers=())
    name, event = env.get("GITHUB_EVENT_NAME", ""), _event(env)
    if name == "merge_group":
        return Occasion(queue=_queue(event), official=True)
    official = env.get("GITHUB_REF") == f"refs/heads/{default_branch}"
    if name in ("pull_request", "pull_request_target", _REVIEW):
        return Occasion((_number(_at(event, "pull_request", "number")),), official=official and name.endswith("target"))
    if name == "workflow_run" and _at(event, "workflow_run", "event") == _REVIEW:
        return Occasion(_reviewed(event, forge), official=official)
    if pull := env.get("GITML_PULL", "").strip():
        return Occasion((_number(pull),), official=official)
    return Occasion(None, official=official)


def _reviewed(event: Any, forge: Forge) -> tuple[int, ...]:
    """GitHub names the pull requests of the repository's own branches only, so those of the commit are asked for."""
    run = _at(event, "workflow_run")
    named = [_at(pull, "number") for pull in _at(run, "pull_requests") or [] if isinstance(pull, dict)]
    head, branch = str(_at(run, "head_sha") or ""), str(_at(run, "head_branch") or "")
    owner = str(_at(run, "head_repository", "full_name") or "").partition("/")[0]
    linked = list(forge.pulls.of_branch(branch, owner)) if branch and owner else []
    if _SHA.fullmatch(head):
        linked += [pull for pull in _of_commit(forge, head) if pull.is_open]
    numbers = [*(n for n in named if isinstance(n, int)), *(pull.number for pull in linked)]
    return tuple(dict.fromkeys(numbers))


def _of_commit(forge: Forge, commit: str) -> tuple[PullRequest, ...]:
    """A commit that the forge does not know (any more) belongs to no pull request."""
    try:
        return forge.pulls.of_commit(commit)
    except HttpError as exc:
        if exc.status not in (404, 422):
            raise
        return ()


def _queue(event: Any) -> Queue:
    base, head = (str(_at(event, "merge_group", key) or "") for key in ("base_sha", "head_sha"))
    if not (_SHA.fullmatch(base) and _SHA.fullmatch(head)):
        raise UsageError("the event of the merge queue names no commits")
    return Queue(base, head)


def _number(value: Any) -> int:
    text = str(value)
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text):
        raise UsageError(f"{text[:40]!r} is no number of a pull request", "such as 12")
    return int(text)


def _event(env: Mapping[str, str]) -> Any:
    try:
        return json.loads(Path(env["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError, ValueError, RecursionError):
        return {}


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
