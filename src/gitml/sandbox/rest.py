"""GitHub's REST API under /api/v3: the table of all operations but those of Actions."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gitml.sandbox import (
    rest_checks,
    rest_contents,
    rest_deployments,
    rest_git,
    rest_issues,
    rest_labels,
    rest_protection,
    rest_pulls,
    rest_repos,
    rest_reviews,
    rest_users,
)
from gitml.sandbox.context import Sandbox
from gitml.sandbox.rest_call import Operation
from gitml.sandbox.rest_serve import Limiter, RestRoute

GROUPS = (
    rest_users,
    rest_repos,
    rest_git,
    rest_contents,
    rest_protection,
    rest_issues,
    rest_labels,
    rest_pulls,
    rest_reviews,
    rest_checks,
    rest_deployments,
)


def operations() -> tuple[Operation, ...]:
    return tuple(operation for group in GROUPS for operation in group.OPERATIONS)


def routes(sandbox: Sandbox, limiter: Limiter | None = None) -> list[BaseRoute]:
    """The routes for the server; ``limiter`` bounds requests per caller and hour."""
    return [RestRoute(sandbox, operations(), limiter)]
