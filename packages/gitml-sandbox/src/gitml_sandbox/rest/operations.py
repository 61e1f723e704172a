"""GitHub's REST API under /api/v3: the table of all operations but those that steer Actions."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.rest import absent as rest_absent
from gitml_sandbox.rest import checks as rest_checks
from gitml_sandbox.rest import contents as rest_contents
from gitml_sandbox.rest import deployments as rest_deployments
from gitml_sandbox.rest import git as rest_git
from gitml_sandbox.rest import graphql as rest_graphql
from gitml_sandbox.rest import issues as rest_issues
from gitml_sandbox.rest import labels as rest_labels
from gitml_sandbox.rest import lists as rest_lists
from gitml_sandbox.rest import meta as rest_meta
from gitml_sandbox.rest import objects as rest_objects
from gitml_sandbox.rest import protection as rest_protection
from gitml_sandbox.rest import pulls as rest_pulls
from gitml_sandbox.rest import repos as rest_repos
from gitml_sandbox.rest import review_comments as rest_review_comments
from gitml_sandbox.rest import reviews as rest_reviews
from gitml_sandbox.rest import suites as rest_suites
from gitml_sandbox.rest import teams as rest_teams
from gitml_sandbox.rest import users as rest_users
from gitml_sandbox.rest.call import Operation
from gitml_sandbox.rest.serve import Limiter, RestRoute

GROUPS = (
    rest_meta,
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
    rest_suites,
    rest_deployments,
    rest_objects,
    rest_lists,
    rest_teams,
    rest_review_comments,
    rest_absent,
)


def operations() -> tuple[Operation, ...]:
    return tuple(operation for group in GROUPS for operation in group.OPERATIONS)


def routes(sandbox: Sandbox, limiter: Limiter | None = None) -> list[BaseRoute]:
    """The routes for the server; ``limiter`` counts requests per caller and hour."""
    limiter = limiter or Limiter()
    graphql = RestRoute(sandbox, [rest_graphql.OPERATION], limiter, prefix="/api")
    return [graphql, RestRoute(sandbox, operations(), limiter)]
