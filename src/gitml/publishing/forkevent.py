"""A report that a fork's run left: what the forge itself says of that run is believed, of the report only figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.forges.base import Forge, PullRequest
from gitml.reports.facts import Comparison, Model, Report

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NOTE = (
    "These figures come from a run of a fork's own code. Its words, logs, pictures and commands are left out: "
    "read the change before you believe them."
)


@dataclass(frozen=True)
class ForkRun:
    """The run that ended, from the event ``workflow_run`` of the base repository."""

    run: int
    attempt: int
    commit: str
    branch: str
    repository: str

    @property
    def owner(self) -> str:
        return self.repository.partition("/")[0]


def fork_run(env: Mapping[str, str], repository: str) -> ForkRun:
    """Read the event. Raises UsageError when this job was not started by a run of a pull request here."""
    wrong = UsageError(
        "--from-fork needs the event of a run that a pull request started",
        "call it in a workflow that `workflow_run` starts: gitml ci render writes it",
    )
    try:
        event = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_bytes())
        run, home = event["workflow_run"], str(event["repository"]["full_name"])
        found = _of(run)
    except (KeyError, OSError, ValueError, TypeError) as exc:
        raise wrong from exc
    if run.get("event") != "pull_request" or home.lower() != repository.lower() or not _SHA.fullmatch(found.commit):
        raise wrong
    return found


def _of(run: dict[str, Any]) -> ForkRun:
    return ForkRun(
        run=int(run["id"]),
        attempt=int(run.get("run_attempt") or 1),
        commit=str(run["head_sha"]),
        branch=str(run["head_branch"]),
        repository=str(run["head_repository"]["full_name"]),
    )


def pull_of(forge: Forge, run: ForkRun) -> PullRequest | None:
    """The open pull request whose head is what ran: same commit, same repository. None when it moved or is closed."""
    linked = (*forge.pulls.of_branch(run.branch, run.owner), *forge.pulls.of_commit(run.commit))
    return next((pull for pull in linked if pull.is_open and _is_head(pull, run)), None)


def _is_head(pull: PullRequest, run: ForkRun) -> bool:
    return pull.head.commit == run.commit and pull.head.repository.lower() == run.repository.lower()


def without_words(report: Report, run: ForkRun, run_url: str) -> Report:
    """The figures of a hostile report. What would be believed, clicked or pasted comes from the forge or is gone."""
    return replace(
        report,
        branch=run.branch[:200],
        commit=run.commit,
        run_url=run_url,
        problem="the run of the fork had a problem" if report.problem else "",
        notes=(_NOTE,),
        commits=(),
        committed="",
        models=tuple(_figures(model) for model in report.models),
    )


def _figures(model: Model) -> Model:
    stages = tuple(replace(stage, why="", log_tail="") for stage in model.stages)
    return replace(
        model,
        reason="",
        stages=stages,
        comparisons=tuple(_rows(c) for c in model.comparisons),
        charts=(),
        reproduce="",
        notes=(),
    )


def _rows(comparison: Comparison) -> Comparison:
    return replace(comparison, why="")
