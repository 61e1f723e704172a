"""HTTP around the table of operations: who asks, may they, what they sent, and GitHub's headers on the answer."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from gitml_sandbox.changes import refs
from gitml_sandbox.errors import OutsideError, RefError, UsageError
from gitml_sandbox.forge import access, auth, push_policy, repos
from gitml_sandbox.forge.auth import Caller
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply

PREFIX = "/api/v3"
# Busy, read-only, I/O error, full, cannot open: the machine's fault, not ours.
_OUTSIDE = (5, 8, 10, 13, 14)
FULL = "The disk of the sandbox is full."
DOCS = "https://docs.github.com/rest"
# Words of the URL that may hold slashes when they are not encoded.
_LONG = ("branch", "ref", "path", "basehead")


@dataclass
class Limiter:
    """Requests per caller and hour, for the headers that clients read. Nobody is refused: it is on loopback."""

    limit: int = 100_000
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _used: dict[tuple[str, int], int] = field(default_factory=dict)

    def count(self, who: str, now: int) -> dict[str, str]:
        """Count one request; returns the headers. ``now`` is in seconds."""
        hour = now // 3600
        with self._guard:
            if (who, hour) not in self._used:
                self._used = {key: used for key, used in self._used.items() if key[1] == hour}
            used = self._used[who, hour] = self._used.get((who, hour), 0) + 1
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.limit - used, 0)),
            "X-RateLimit-Used": str(used),
            "X-RateLimit-Reset": str((hour + 1) * 3600),
            "X-RateLimit-Resource": "core",
        }


@dataclass(frozen=True)
class _Asked:
    """What came over the wire."""

    operation: Operation
    path: Mapping[str, str]
    request: Request
    raw: bytes


class RestRoute(BaseRoute):
    """All operations as one route. It matches the raw path, so that an encoded slash stays inside its word."""

    def __init__(
        self,
        sandbox: Sandbox,
        operations: Sequence[Operation],
        limiter: Limiter | None = None,
        *,
        prefix: str = PREFIX,
    ) -> None:
        self.sandbox = sandbox
        self.limiter = limiter or Limiter()
        ordered = _ordered(operations)
        self.table = [(_pattern(prefix + o.path, long=long), o) for long in (False, True) for o in ordered]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        found = self._find(scope)
        return (Match.FULL, {"rest_operation": found}) if found else (Match.NONE, {})

    def _find(self, scope: Scope) -> tuple[Operation, dict[str, str]] | None:
        raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        for pattern, operation in self.table:
            match = pattern.fullmatch(raw) if operation.method == method else None
            if match:
                return operation, {k: unquote(v) for k, v in match.groupdict().items()}
        return None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        operation, path = scope["rest_operation"]
        raw = await request.body()
        response = await run_in_threadpool(self.respond, _Asked(operation, path, request, raw))
        await response(scope, receive, send)

    def respond(self, asked: _Asked) -> Response:
        """The whole answer, errors included."""
        headers = {
            "X-GitHub-Request-Id": secrets.token_hex(12).upper(),
            "X-GitHub-Media-Type": "github.v3; format=json",
        }
        try:
            reply = self._answer(asked, headers)
        except (UsageError, OutsideError, push_policy.RefusedError, ValidationError) as exc:
            reply = error_reply(as_refusal(exc))
        except (sqlite3.OperationalError, OSError) as exc:
            reply = error_reply(outside(exc))
        return _response(asked.request, reply, headers)

    def _answer(self, asked: _Asked, headers: dict[str, str]) -> Reply:
        operation = asked.operation
        with self._transaction("write" if operation.tx == "write" else "read") as tx:
            call = self._admit(tx, asked, headers)
            if operation.tx != "none":
                reply = operation.handler(call)
        if operation.tx == "none":
            reply = operation.handler(call)
        return reply

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        store = self.sandbox.store
        with store.write() if kind == "write" else store.read() as tx:
            yield tx

    def _admit(self, tx: sqlite3.Connection, asked: _Asked, headers: dict[str, str]) -> Call:
        """Let the request in, or raise; what is private stays hidden before anything else is looked at."""
        operation, request = asked.operation, asked.request
        caller, wrong = _identify(tx, self.sandbox, request)
        who = f"token:{caller.token.id}" if caller else "nobody"
        headers |= self.limiter.count(who, int(self.sandbox.clock().timestamp()))
        if caller and caller.token.kind == "user":
            headers |= {"X-OAuth-Scopes": "repo, workflow, read:org", "X-Accepted-OAuth-Scopes": ""}
        if wrong:
            raise RefusalError(401, "Bad credentials")
        repo = _admit_repo(tx, operation, caller, asked.path) if "owner" in asked.path else None
        if caller is None and (operation.login or operation.writes):
            raise RefusalError(401, "Requires authentication")
        if repo is None and caller is not None and not operation.within(caller.token):
            raise _inaccessible(caller)
        return Call(
            sandbox=self.sandbox,
            tx=tx if operation.tx != "none" else None,
            caller=caller,
            repo_=repo,
            path=asked.path,
            query=dict(reversed(request.query_params.multi_items())),
            body_=read_body(operation.body, asked.raw),
            url=f"{self.sandbox.base_url}{request.url.path}",
            accept=request.headers.get("accept", ""),
            method=operation.method,
        )


def _ordered(operations: Sequence[Operation]) -> list[Operation]:
    """Those with more literal words first."""
    return sorted(operations, key=lambda o: (o.path.count("{"), -len(o.path)))


def _pattern(path: str, *, long: bool) -> re.Pattern[str]:
    def word(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{'.+' if long and match[1] in _LONG else '[^/]+'})"

    return re.compile(re.sub(r"\{(\w+)\}", word, path.replace(".", r"\.")) + "/?")


def _identify(tx: sqlite3.Connection, sandbox: Sandbox, request: Request) -> tuple[Caller | None, bool]:
    """Who asks, and whether they showed a token that is none."""
    try:
        return auth.identify(tx, request.headers.get("authorization"), sandbox.now()), False
    except auth.BadCredentialsError:
        return None, True


def _admit_repo(tx: sqlite3.Connection, operation: Operation, caller: Caller | None, path: Mapping[str, str]) -> Repo:
    repo = repos.find(tx, path["owner"], path["repo"])
    token = caller.token if caller else None
    role = access.role(tx, repo, caller.user.id if caller else None, token) if repo else "none"
    if repo is None or not access.sees(repo, role, token):
        raise not_found()
    if caller is None:
        if operation.writes or operation.role != "read":
            raise RefusalError(401, "Requires authentication")
        return repo
    public_read = not repo.private and not operation.writes and operation.role == "read"
    if not public_read and not operation.within(caller.token, repo.id):
        raise _inaccessible(caller)
    if not repos.at_least(role, operation.role) and not _by_permission(caller, operation, repo):
        raise RefusalError(403, _MISSING.get(operation.role, "Must have write access to the repository."))
    return repo


_MISSING = {"admin": "Must have admin rights to Repository.", "write": "Must have push access to repository"}


def _by_permission(caller: Caller, operation: Operation, repo: Repo) -> bool:
    """A job's token that says `administration: write` may do that here, though its bot has no role."""
    token = caller.token
    limited = token.kind != "user" and token.permissions is not None
    return limited and token.repo_id == repo.id and operation.within(token, repo.id)


def _inaccessible(caller: Caller) -> RefusalError:
    kind = "personal access token" if caller.token.kind == "user" else "integration"
    return RefusalError(403, f"Resource not accessible by {kind}")


def read_body(kind: type[Body] | None, raw: bytes) -> Body | None:
    """Parse a request body. Raises RefusalError 400 for what is no JSON, 422 for what does not fit."""
    if kind is None:
        return None
    try:
        given = json.loads(raw or b"{}", parse_constant=_no_constant)
        # Half a surrogate pair is JSON, but no text that could be kept.
        json.dumps(given, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RefusalError(400, "Problems parsing JSON") from None
    if not isinstance(given, dict) and "root" not in kind.model_fields:
        raise RefusalError(400, "Body should be a JSON object")
    value = given if isinstance(given, dict) else {"root": given}
    try:
        # JSON mode: strict types, but a list may fill a tuple.
        return kind.model_validate_json(json.dumps(value))
    except ValidationError as exc:
        raise body_refusal(kind, exc) from None


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def body_refusal(kind: type[BaseModel], exc: ValidationError) -> RefusalError:
    """422 with a missing_field or invalid error per problem."""
    errors = []
    for problem in exc.errors():
        name = ".".join(str(part) for part in problem["loc"]) or "body"
        code = "missing_field" if problem["type"] == "missing" else "invalid"
        errors.append({"resource": kind.__name__, "field": name, "code": code, "message": problem["msg"]})
    missing = [e["field"] for e in errors if e["code"] == "missing_field"]
    text = f'Invalid request.\n\n"{missing[0]}" wasn\'t supplied.' if missing else "Validation Failed"
    return RefusalError(422, text, errors=errors)


def as_refusal(exc: Exception) -> RefusalError:
    """Errors of the layers below, in HTTP's words."""
    if isinstance(exc, RefusalError):
        return exc
    if isinstance(exc, push_policy.RefusedError):
        return RefusalError(422, " ".join(line.removeprefix("error: ") for line in exc.lines))
    if isinstance(exc, refs.MovedError):
        return RefusalError(409, "Reference cannot be updated: it has moved")
    if isinstance(exc, RefError):
        return not_found()
    if isinstance(exc, ValidationError):
        return body_refusal(BaseModel, exc)
    if isinstance(exc, UsageError):
        return RefusalError(422, exc.message)
    if isinstance(exc, OutsideError) and os.strerror(errno.ENOSPC) in exc.message:
        return RefusalError(507, FULL)
    return RefusalError(500, "Server Error")


def outside(exc: sqlite3.OperationalError | OSError) -> RefusalError:
    """What this machine could not do: nothing was written, and the client has to know. Our own faults go on."""
    if isinstance(exc, OSError):
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise exc
        return RefusalError(507, FULL)
    if exc.sqlite_errorcode & 0xFF not in _OUTSIDE:
        raise exc
    return RefusalError(503, f"Service unavailable: {exc}")


def error_reply(exc: RefusalError) -> Reply:
    body: dict[str, Any] = {"message": exc.message, "documentation_url": DOCS, "status": str(exc.status)}
    if exc.errors:
        body["errors"] = list(exc.errors)
    return Reply(body, exc.status, exc.headers)


def _response(request: Request, reply: Reply, headers: Mapping[str, str]) -> Response:
    task = BackgroundTask(reply.after) if reply.after else None
    shown = {**headers, **reply.headers}
    if reply.body is None:
        return Response(status_code=reply.status, headers=shown, background=task)
    raw = (
        reply.body
        if isinstance(reply.body, bytes)
        else json.dumps(reply.body, ensure_ascii=False).encode(errors="replace")
    )
    if reply.status == 200 and request.method in ("GET", "HEAD"):
        shown["ETag"] = f'W/"{hashlib.sha256(raw + shown.get("Link", "").encode()).hexdigest()}"'
        shown["Cache-Control"] = "private, max-age=0, must-revalidate"
        shown["Vary"] = "Accept, Authorization"
        if shown["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=shown, background=task)
    return Response(raw, reply.status, shown, media_type=reply.media, background=task)
