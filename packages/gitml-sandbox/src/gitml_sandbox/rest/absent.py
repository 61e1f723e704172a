"""REST: what GitHub links to and this forge does not have. An empty answer, in GitHub's shape, is the truth."""

from __future__ import annotations

from gitml_sandbox.forge import users
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.rest.call import Call, Operation, Reply
from gitml_sandbox.serial import people as people_json

_ONE = "/repos/{owner}/{repo}"
# Lists without an entry, with the role that GitHub asks for.
_OF_REPOSITORIES = {
    "downloads": "read",
    "events": "read",
    "hooks": "admin",
    "invitations": "admin",
    "keys": "admin",
    "milestones": "read",
    "notifications": "read",
    "releases": "read",
    "stargazers": "read",
    "subscribers": "read",
    "issues/{issue_number}/reactions": "read",
    "issues/comments/{comment_id}/reactions": "read",
    "comments/{comment_id}/reactions": "read",
    "pulls/comments/{comment_id}/reactions": "read",
}
_OF_PEOPLE = ("events", "followers", "following", "gists", "received_events", "starred", "subscriptions")


def nothing(call: Call) -> Reply:
    return Reply([])


def nothing_of(call: Call) -> Reply:
    """Of a person who is there."""
    if users.find(call.view.tx, call.path["username"]) is None:
        raise not_found()
    return Reply([])


def languages(call: Call) -> Reply:
    return Reply({})


def subscription(call: Call) -> Reply:
    """Nobody watches a repository here; GitHub answers 404 then, which would be a dead link."""
    here = people_json.repo_api(call.view, call.repo)
    said = {"subscribed": False, "ignored": False, "reason": None, "created_at": call.repo.created_at}
    return Reply({**said, "url": f"{here}/subscription", "repository_url": here})


OPERATIONS = (
    *(Operation("GET", f"{_ONE}/{path}", nothing, role=role) for path, role in _OF_REPOSITORIES.items()),
    *(Operation("GET", f"/users/{{username}}/{path}", nothing_of) for path in _OF_PEOPLE),
    Operation("GET", f"{_ONE}/languages", languages),
    Operation("GET", f"{_ONE}/subscription", subscription, login=True),
)
