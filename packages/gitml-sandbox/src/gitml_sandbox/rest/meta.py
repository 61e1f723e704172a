"""REST: what the API says of itself. `gh auth status` asks its root whether a token is good."""

from __future__ import annotations

from gitml_sandbox.rest.call import Call, Operation, Reply
from gitml_sandbox.serial.people import JSON

# Addresses of GitHub's root that are served here.
_LINKS = {
    "current_user_url": "/user",
    "emails_url": "/user/emails",
    "rate_limit_url": "/rate_limit",
    "repository_url": "/repos/{owner}/{repo}",
    "organization_repositories_url": "/orgs/{org}/repos{?type,page,per_page,sort}",
    "current_user_repositories_url": "/user/repos{?type,page,per_page,sort}",
    "user_url": "/users/{user}",
}
_LIMIT = 100_000


def root(call: Call) -> Reply:
    base = f"{call.sandbox.base_url}/api/v3"
    return Reply({name: f"{base}{path}" for name, path in _LINKS.items()})


def rate_limit(call: Call) -> Reply:
    """Nobody is refused. What was used so far stands in the headers of each answer."""
    reset = (int(call.sandbox.clock().timestamp()) // 3600 + 1) * 3600
    core: JSON = {"limit": _LIMIT, "used": 0, "remaining": _LIMIT, "reset": reset}
    return Reply({"resources": dict.fromkeys(("core", "search", "graphql"), core), "rate": core})


def about(call: Call) -> Reply:
    return Reply({"verifiable_password_authentication": False, "installed_version": "3.17.0"})


OPERATIONS = (
    Operation("GET", "/", root),
    Operation("GET", "/rate_limit", rate_limit),
    Operation("GET", "/meta", about),
)
