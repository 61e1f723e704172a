"""What a report means for the commit: the state and the line of its status."""

from __future__ import annotations

import json
import re

from gitml.forges.base import State
from gitml.reports.facts import Outcome, Report, ReportedHow, ReportedModel
from gitml.reports.headline import is_new

CONTEXT = "gitml/train"
_BAD = (Outcome.FAILED, Outcome.REFUSED)


def state_of(report: Report) -> State:
    """Error when the run could not judge, failure when a model failed. Nothing to train is a success, and said."""
    if report.problem:
        return State.ERROR
    return State.FAILURE if any(model.outcome in _BAD for model in report.models) else State.SUCCESS


def description_of(report: Report) -> str:
    """One line; the forge cuts it."""
    if report.problem:
        return f"no verdict: {report.problem}"
    if not report.models:
        return f"nothing to train: {(*report.notes, 'no model has stages')[0]}"
    ordered = sorted(report.models, key=lambda m: m.outcome not in _BAD)
    return "; ".join(_line(model) for model in ordered)


def _line(model: ReportedModel) -> str:
    if model.outcome is Outcome.FAILED:
        stage = next((s.name for s in model.stages if s.how is ReportedHow.FAILED), "")
        return f"{model.name} failed" + (f" in {stage}" if stage else "") + _because(model)
    if model.outcome is Outcome.REFUSED:
        return f"{model.name} was refused{_because(model)}"
    if is_new(model):
        return f"{model.name}: new version {model.version}".rstrip()
    return f"{model.name}: {model.outcome.value}"


def _because(model: ReportedModel) -> str:
    return f": {model.reason}" if model.reason else ""


def why_missing(needs: str) -> str:
    """Why there is no report: from ``toJSON(needs)`` of the job, which says how the jobs before it ended."""
    try:
        told = json.loads(needs or "{}")
        results = {str(name): str(job["result"]) for name, job in told.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        results = {}
    ended = {n: r for n, r in results.items() if r != "success" and re.fullmatch(r"[A-Za-z0-9_-]{1,100}", n)}
    words = {"failure": "failed", "cancelled": "was cancelled", "skipped": "was skipped"}
    said = [f"job {name} {words.get(result, 'did not end well')}" for name, result in sorted(ended.items())]
    return f"the run left no report: {', '.join(said)}" if said else "the run left no report: its log says why"
