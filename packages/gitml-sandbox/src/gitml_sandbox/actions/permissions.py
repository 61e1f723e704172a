"""What a job's token may do and whether the job sees secrets.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.actions.workflows import WorkflowError

# The words that `permissions:` may hold. metadata is always readable and cannot be set.
SCOPES = (
    "actions",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
)
RESTRICTED: Mapping[str, str] = {"contents": "read", "packages": "read"}
_LEVELS = frozenset({"read", "write", "none"})
_PRIVILEGED = frozenset({"pull_request_target", "workflow_run"})


@dataclass(frozen=True)
class Trust:
    """How far a run is trusted: a run that executes a fork's code gets a token that only reads, and no
    secrets.
    """

    read_only: bool
    secrets: bool


def trust(event: str, *, fork: bool) -> Trust:
    """pull_request_target, workflow_run and comments run the repository's own file, so a fork does not lower
    them.
    """
    limited = fork and event not in _PRIVILEGED
    return Trust(read_only=limited, secrets=not limited)


def permissions(
    workflow: Mapping[str, Any], job: Mapping[str, Any], *, default: str, read_only: bool
) -> dict[str, str]:
    """The permissions of a job's token. `default` is the repository's setting, 'read' or 'write'.

    A job's block replaces the workflow's; what a block does not name is none. Raises WorkflowError on unknown
    words.
    """
    block = job["permissions"] if "permissions" in job else workflow.get("permissions", default)
    given = _block(block, is_default="permissions" not in job and "permissions" not in workflow)
    if read_only:
        given = {scope: "read" if level == "write" else level for scope, level in given.items()}
        given.pop("id-token", None)
    return {scope: level for scope, level in sorted(given.items()) if level != "none"}


def _block(block: Any, *, is_default: bool) -> dict[str, str]:
    if is_default:
        return dict(RESTRICTED) if block == "read" else _all("write")
    if block is None:
        return {}
    if block in {"read-all", "write-all"} if isinstance(block, str) else False:
        return _all(block.removesuffix("-all"))
    if not isinstance(block, dict):
        raise WorkflowError(f"permissions: {block!r} is neither a mapping nor read-all or write-all")
    for scope, level in block.items():
        if scope not in SCOPES or level not in _LEVELS:
            raise WorkflowError(f"permissions: {scope}: {level} is unknown", f"known: {', '.join(SCOPES)}")
    return {str(scope): str(level) for scope, level in block.items()}


def _all(level: str) -> dict[str, str]:
    return {scope: level for scope in SCOPES if scope != "id-token"}
