"""Who may fetch from and push to which repository, as GitHub answers: strangers cannot tell private from
absent.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from gitml_sandbox.forge import access, auth, repos
from gitml_sandbox.forge.auth import BadCredentialsError, Caller
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

PATH = re.compile(
    r"/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)"
)
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="gitml sandbox"'}
SERVICES = ("git-upload-pack", "git-receive-pack")


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """Ends a request with a status and a line that git shows."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        more = _CHALLENGE if status == 401 else {}
        self.response = PlainTextResponse(text + "\n", status, {**more, **(headers or {})})


@dataclass(frozen=True)
class Wanted:
    """A request that was let in. ``caller`` None: a stranger reads a public repository."""

    repo: Repo
    caller: Caller | None
    service: str

    def cgi(self, request: Request, size: int) -> dict[str, str]:
        """The variables of RFC 3875 for `git http-backend`; the path is ours, not the client's."""
        headers, client = request.headers, request.client
        given = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{self.repo.owner}/{self.repo.name}.git/{self.service}",
            "QUERY_STRING": f"service={request.query_params.get('service', '')}",
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(size),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REMOTE_ADDR": client.host if client else "",
            "REMOTE_USER": self.caller.user.login if self.caller else "",
            "GIT_HTTP_EXPORT_ALL": "1",
        }
        return {name: value for name, value in given.items() if value} | {"GIT_PROJECT_ROOT": "."}


def admit(sandbox: Sandbox, request: Request) -> Wanted:
    """Let a request in, or raise Refusal."""
    match = PATH.fullmatch(request.scope["path"])
    service, writes = _service(request, match["service"] if match else "")
    assert match is not None
    with sandbox.store.read() as tx:
        try:
            caller = auth.identify(tx, request.headers.get("authorization"), sandbox.now())
        except BadCredentialsError:
            raise Refusal(401, "Invalid username or token.") from None
        repo = repos.find(tx, match["owner"], match["name"])
        level = _role(tx, repo, caller) if repo else "none"
    if caller is None and (repo is None or writes or level == "none"):
        raise Refusal(401, "A token is needed: give it as the password.")
    if repo is None or level == "none" or not _token_reads(caller, repo):
        raise Refusal(404, "Repository not found.")
    if writes and not _may_write(caller, repo, level):
        who = caller.user.login if caller else "strangers"
        raise Refusal(403, f"Permission to {repo.full_name}.git denied to {who}.")
    return Wanted(repo, caller, service)


def _role(tx: sqlite3.Connection, repo: Repo, caller: Caller | None) -> str:
    return access.role(tx, repo, caller.user.id if caller else None, caller.token if caller else None)


def _service(request: Request, service: str) -> tuple[str, bool]:
    """The service and whether it writes. Only the three requests of the smart protocol exist."""
    if service == "info/refs":
        asked = request.query_params.get("service", "")
        if request.method == "GET" and asked in SERVICES:
            return service, asked == "git-receive-pack"
        raise Refusal(403, "Only git's smart protocol is spoken here.")
    if request.method != "POST" or service not in SERVICES:
        raise Refusal(404, "Not found.")
    if request.headers.get("content-type") != f"application/x-{service}-request":
        raise Refusal(415, "Unsupported media type.")
    return service, service == "git-receive-pack"


def _token_reads(caller: Caller | None, repo: Repo) -> bool:
    """A token limited to another repository still reads public ones, as a stranger does."""
    return caller is None or not repo.private or caller.token.allows("contents", "read", repo.id)


def _may_write(caller: Caller | None, repo: Repo, level: str) -> bool:
    if caller is None or not caller.token.allows("contents", "write", repo.id):
        return False
    return repos.at_least(level, "write")
