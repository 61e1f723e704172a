"""A report that a fork's run left: what the forge itself says of that run is believed, of the report only figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitml.errors import UsageError
from gitml.forges.base import Forge, PullRequest
from gitml.forges.job import EndedRun, JobCause
from gitml.forges.table import job_of
from gitml.reports.facts import Report, ReportedComparison, ReportedModel
from gitml.reports.holdoutfacts import ReportedHoldOut

_NOTE = (
    "These figures come from a run of a fork's own code. Its words, logs, pictures and commands are left out: "
    "read the change before you believe them."
)


def fork_run(env: Mapping[str, str], repository: str) -> EndedRun:
    """Read the event. Raises UsageError when this job was not started by a run of a pull request here."""
    job = job_of(env)
    run = job.ended
    here = job.repository.lower() == repository.lower()
    if run is None or not (run.id and run.branch and run.repository) or run.cause is not JobCause.PULL or not here:
        raise UsageError(
            "--from-fork needs the event of a run that a pull request started",
            "call it in a workflow that such a run starts: gitml ci render writes it",
        )
    return run


def pull_of(forge: Forge, run: EndedRun) -> PullRequest | None:
    """The open pull request whose head is what ran: same commit, same repository. None when it moved or is closed."""
    linked = (*forge.pulls.of_branch(run.branch, run.repository.partition("/")[0]), *forge.pulls.of_commit(run.commit))
    return next((pull for pull in linked if pull.is_open and _is_head(pull, run)), None)


def _is_head(pull: PullRequest, run: EndedRun) -> bool:
    return pull.head.commit == run.commit and pull.head.repository.lower() == run.repository.lower()


_NOT_COMPARED = "the run of the fork could not compare them"


def without_words(report: Report, run: EndedRun, run_url: str) -> Report:
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


def _figures(model: ReportedModel) -> ReportedModel:
    stages = tuple(replace(stage, why="", log_tail="") for stage in model.stages)
    return replace(
        model,
        reason="",
        stages=stages,
        comparisons=tuple(_rows(c) for c in model.comparisons),
        holdout=_held(model.holdout) if model.holdout else None,
        charts=(),
        reproduce="",
        notes=(),
    )


def _rows(comparison: ReportedComparison) -> ReportedComparison:
    return replace(comparison, why="")


def _held(found: ReportedHoldOut) -> ReportedHoldOut:
    """A fork's reason is not repeated, but that there is one is."""
    sets = tuple(replace(one, why=_NOT_COMPARED if one.why else "") for one in found.sets)
    window = replace(found.window, why=_NOT_COMPARED if found.window.why else "") if found.window else None
    return replace(found, why=_NOT_COMPARED if found.why else "", sets=sets, window=window, notes=())
