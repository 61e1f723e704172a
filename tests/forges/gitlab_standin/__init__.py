"""A stand-in for GitLab: its REST API 4, the one query of GraphQL and Git over HTTP, real on loopback.

What happens is the forge in memory's; here is only how GitLab says it. ``OPERATIONS`` is every operation that it knows.
"""

from forges.gitlab_standin.operations import OPERATIONS
from forges.gitlab_standin.server import Standin, standing

__all__ = ["OPERATIONS", "Standin", "standing"]
