"""One job as a workflow of its own for act: stand-ins for the jobs it needs, the job, and a reader of its
outputs.

act then evaluates steps, `env`, `needs`, `matrix` and `outputs` itself, as GitHub's runner would, while the
queue decides
what act does not know: `if` of jobs, concurrency, Environments, labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.actions.expressions import literal, replace_context, replace_in_expression
from gitml_sandbox.actions.workflows import Job, Workflow

LABEL = "gitml-sandbox"
# What the queue has done already, or what act would do wrongly.
_DONE = frozenset(
    {
        "if",
        "needs",
        "strategy",
        "concurrency",
        "environment",
        "permissions",
        "timeout-minutes",
        "continue-on-error",
        "name",
    }
)


@dataclass(frozen=True)
class Known:
    """The contexts that act cannot know by itself."""

    needs: Mapping[str, Any]
    matrix: Mapping[str, Any]
    inputs: Mapping[str, Any]
    strategy: Mapping[str, Any]


def workflow(
    source: Workflow,
    job: Job,
    *,
    event: str,
    known: Known,
    outputs_file: str,
) -> dict[str, Any]:
    """The workflow for act. JSON is YAML, so the caller writes it with json.dumps."""
    reader = "gitml-outputs" if job.id != "gitml-outputs" else "gitml-outputs-"
    kept = {k: v for k, v in job.raw.items() if k not in _DONE}
    if known.matrix:
        kept["strategy"] = {"matrix": {name: [value] for name, value in known.matrix.items()}}
    kept |= {"runs-on": LABEL}
    shared = {k: source.raw[k] for k in ("env", "defaults") if source.raw.get(k)}
    body: Any = {**shared, "jobs": {job.id: kept}}
    for name, value in (("inputs", known.inputs), ("strategy", known.strategy), ("needs", known.needs)):
        body = _with_literal(body, name, literal(dict(value)))
    body["jobs"][reader] = _reader(job.id, outputs_file)
    return {"name": source.name, "on": _on(event), **body}


def _on(event: str) -> Any:
    return {"schedule": [{"cron": "0 0 * * *"}]} if event == "schedule" else [event]


def _reader(job_id: str, file: str) -> dict[str, Any]:
    found = {"FOUND": "${{ toJSON(needs) }}", "FILE": "${{ " + literal(file) + " }}"}
    step = {"run": 'printf %s "$FOUND" > "$FILE"', "env": found, "shell": "sh"}
    return {"runs-on": LABEL, "needs": [job_id], "if": "always()", "steps": [step]}


def _with_literal(value: Any, name: str, replacement: str) -> Any:
    """Put a context's value where it is named; `if:` needs no `${{ }}`, so its text is an expression anyway."""
    if isinstance(value, dict):
        return {
            k: _condition(v, name, replacement) if k == "if" else _with_literal(v, name, replacement)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_with_literal(v, name, replacement) for v in value]
    return replace_context(value, name, replacement)


def _condition(value: Any, name: str, replacement: str) -> Any:
    if not isinstance(value, str) or "${{" in value:
        return replace_context(value, name, replacement)
    return replace_in_expression(value, name, replacement)


def read_outputs(text: str, job_id: str) -> dict[str, str]:
    """What the reader wrote down about the job; empty if it never came to it."""
    try:
        found = json.loads(text)[job_id]["outputs"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {str(k): str(v) for k, v in (found or {}).items()}
