"""One entry of `jobs:` becomes the jobs that will run: matrix, names, labels, Environment, concurrency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.actions import matrix as matrices
from gitml_sandbox.actions.coercions import ExpressionError, to_number, to_string, truthy
from gitml_sandbox.actions.expressions import Scope, condition, interpolate
from gitml_sandbox.actions.workflows import Job, WorkflowError, strings

DEFAULT_TIMEOUT_MINUTES = 360.0

# What a job may use besides local actions: those that ``offline_actions`` has.
STAND_INS = frozenset(
    {
        "actions/cache",
        "actions/cache/restore",
        "actions/cache/save",
        "actions/checkout",
        "actions/download-artifact",
        "actions/setup-python",
        "actions/upload-artifact",
    }
)


@dataclass(frozen=True)
class Concurrency:
    """A group, empty for none, in lower case: GitHub does not tell cases apart."""

    group: str = ""
    cancel: bool = False


@dataclass(frozen=True)
class Planned:
    """One job to run: a combination of the matrix with everything evaluated that the queue must know."""

    name: str
    matrix: Mapping[str, Any]
    labels: tuple[str, ...]
    environment: str
    concurrency: Concurrency
    forgiven: bool
    fail_fast: bool
    max_parallel: int
    minutes: float


def wanted(job: Job, scope: Scope) -> bool:
    """Whether the job's `if:` holds. Raises ExpressionError."""
    return condition(job.raw.get("if"), scope)


def concurrency(value: Any, scope: Scope) -> Concurrency:
    """`concurrency:` of a workflow or job, as a string or a mapping."""
    value = interpolate(value, scope)
    if isinstance(value, dict):
        group = to_string(value.get("group")).strip()
        return Concurrency(
            group.lower(), truthy(value.get("cancel-in-progress")) and value["cancel-in-progress"] != "false"
        )
    return Concurrency(to_string(value).strip().lower())


def expand(job: Job, scope: Scope) -> list[Planned]:
    """Every combination of the job's matrix. Raises WorkflowError or ExpressionError with the reason."""
    unsupported(job)
    strategy = interpolate(job.raw.get("strategy") or {}, scope)
    if not isinstance(strategy, dict):
        raise WorkflowError(f"job `{job.id}`: strategy is not a mapping")
    combinations = matrices.expand(strategy.get("matrix"))
    return [_planned(job, strategy, c, scope) for c in combinations]


def _planned(job: Job, strategy: Mapping[str, Any], combination: Mapping[str, Any], scope: Scope) -> Planned:
    seen = Scope({**scope.contexts, "matrix": combination}, scope.functions)
    return Planned(
        name=job_name(job, combination, seen),
        matrix=combination,
        labels=_labels(job, seen),
        environment=_environment(job.raw.get("environment"), seen),
        concurrency=concurrency(job.raw.get("concurrency"), seen),
        forgiven=truthy(interpolate(job.raw.get("continue-on-error"), seen)),
        fail_fast=strategy.get("fail-fast") is not False and strategy.get("fail-fast") != "false",
        max_parallel=int(to_number(strategy.get("max-parallel"))),
        minutes=_minutes(job.raw.get("timeout-minutes"), seen),
    )


def job_name(job: Job, combination: Mapping[str, Any], scope: Scope) -> str:
    """The name that is shown and that statuses carry."""
    given = job.raw.get("name")
    if given is None:
        return job.id + matrices.suffix(combination)
    name = to_string(interpolate(given, scope))
    # Without an expression every combination would have the same name, so the values are appended.
    return name if not combination or "${{" in str(given) else name + matrices.suffix(combination)


def plain_name(job: Job) -> str | None:
    """The name if it is known before the job is ready, else None."""
    if "strategy" in job.raw or "${{" in str(job.raw.get("name") or ""):
        return None
    return str(job.raw.get("name") or job.id)


def _labels(job: Job, scope: Scope) -> tuple[str, ...]:
    value = interpolate(job.raw.get("runs-on"), scope)
    if isinstance(value, dict):
        value = [*strings(value.get("labels")), *(f"group:{g}" for g in strings(value.get("group")))]
    labels = tuple(label.strip().lower() for label in strings(value) if label.strip())
    if not labels:
        raise WorkflowError(f"job `{job.id}`: `runs-on` yields no label")
    return labels


def _environment(value: Any, scope: Scope) -> str:
    if isinstance(value, dict):
        value = value.get("name")
    return to_string(interpolate(value, scope)).strip()


def _minutes(given: Any, scope: Scope) -> float:
    value = interpolate(given, scope)
    if value is None:
        return DEFAULT_TIMEOUT_MINUTES
    minutes = to_number(value)
    if not minutes > 0:
        raise ExpressionError(f"timeout-minutes: {value!r} is not a positive number")
    return minutes


def unsupported(job: Job) -> None:
    """Raise WorkflowError for what the sandbox cannot run: said before the job starts, never skipped
    silently.
    """
    for word, advice in (
        ("uses", "the sandbox calls no other workflows; write its jobs here"),
        ("container", "the sandbox runs jobs on this machine without containers"),
        ("services", "the sandbox has no service containers; start what the job needs in a step"),
    ):
        if job.raw.get(word):
            raise WorkflowError(f"job `{job.id}` uses `{word}:`: {advice}")
    for action in used_actions(job.raw.get("steps") or []):
        reason = refused_action(action)
        if reason:
            raise WorkflowError(f"job `{job.id}` uses {action}: {reason}")


def used_actions(steps: list[Any]) -> Iterator[str]:
    """The `uses:` of steps, in order."""
    for step in steps:
        if isinstance(step, dict) and step.get("uses"):
            yield str(step["uses"])


def refused_action(uses: str) -> str:
    """Why an action cannot run here; empty if it can."""
    if uses.startswith("./"):
        return ""
    if uses.startswith("docker://"):
        return "the sandbox runs no containers"
    name, _, ref = uses.partition("@")
    if not ref:
        return "it names no version after an @"
    if name.lower() not in STAND_INS:
        return f"the sandbox is offline and has no stand-in for it; it has {', '.join(sorted(STAND_INS))}"
    return ""
