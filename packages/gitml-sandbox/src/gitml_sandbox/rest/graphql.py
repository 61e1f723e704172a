"""GraphQL: the two mutations that REST has no operation for, and who one is, which `gh auth status` asks. Everything
else is answered with an error, as GitHub does.

https://docs.github.com/en/graphql/reference/mutations#markpullrequestreadyforreview
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import Any

from gitml_sandbox.forge import access, pulls, repos
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.refusals import RefusalError
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply
from gitml_sandbox.rest.pulls import drafted
from gitml_sandbox.serial.people import node_id

_DRAFTS = {"markPullRequestReadyForReview": False, "convertPullRequestToDraft": True}
_SCOPE = "pull-requests"
_MUTATION = re.compile(
    rf"\bmutation\b[^{{]*{{\s*({'|'.join(_DRAFTS)})\s*\(\s*input:\s*{{\s*pullRequestId:\s*"
    r"(?:\$(?P<name>\w+)|\"(?P<id>[^\"]+)\")\s*}\s*\)"
)
_INSTEAD = "Ask its REST API, such as `gh api repos/OWNER/REPO/pulls` for `gh pr list`."
_VIEWER = re.compile(r"\s*(query\b[^{]*)?{\s*viewer\s*{\s*login\s*}\s*}\s*")


class Asked(Body):
    query: str
    variables: dict[str, Any] | None = None


def answer(call: Call) -> Reply:
    """Errors are 200 with `errors`, as GitHub answers them."""
    asked = call.body(Asked)
    if _VIEWER.fullmatch(asked.query):
        return Reply({"data": {"viewer": {"login": call.by.user.login}}})
    found = _MUTATION.search(asked.query)
    if found is None:
        return _wrong(
            "UNDEFINED", f"The sandbox has no GraphQL but viewer{{login}}, {' and '.join(_DRAFTS)}. {_INSTEAD}"
        )
    try:
        named = found["id"] or str((asked.variables or {}).get(found["name"], ""))
        call, pull = _found(call, named)
        pull = drafted(call, pull, draft=_DRAFTS[found[1]])
    except RefusalError as exc:
        return _wrong("FORBIDDEN" if exc.status == 403 else "NOT_FOUND", exc.message)
    shown = {"id": node_id("PullRequest", pull.id), "number": pull.number, "isDraft": pull.draft}
    return Reply({"data": {found[1]: {"pullRequest": shown}}})


def _wrong(kind: str, message: str) -> Reply:
    return Reply({"data": None, "errors": [{"type": kind, "message": message}]})


def _found(call: Call, named: str) -> tuple[Call, Pull]:
    """The pull request of a node id, where the caller may see it. What is none names nothing."""
    missing = RefusalError(404, f"Could not resolve to a node with the global id of '{named[:100]}'")
    number = _number(named)
    if number is None or call.caller is None:
        raise missing
    tx = call.view.tx
    try:
        pull = pulls.by_id(tx, number)
    except RefusalError:
        raise missing from None
    repo = repos.by_id(tx, pull.repo_id)
    _admit(call, repo, missing)
    return replace(call, repo_=repo), pull


def _admit(call: Call, repo: Repo, missing: RefusalError) -> None:
    token = call.caller.token if call.caller else None
    role = access.role(call.view.tx, repo, call.by.user.id, token)
    if token is None or not access.sees(repo, role, token):
        raise missing
    if not token.allows(_SCOPE, "write", repo.id):
        raise RefusalError(403, "Resource not accessible by integration")


def _number(named: str) -> int | None:
    try:
        kind, _, number = base64.b64decode(named + "=" * (-len(named) % 4), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return int(number) if kind == "PullRequest" and re.fullmatch(r"[0-9]{1,18}", number) else None


OPERATION = Operation("POST", "/graphql", answer, scope=_SCOPE, tx="write", body=Asked, login=True)
