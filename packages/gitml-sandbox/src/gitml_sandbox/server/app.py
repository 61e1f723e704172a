"""The sandbox as one ASGI application: Git, REST, runner, web pages, behind checks of host, size and time."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.git.access import PATH
from gitml_sandbox.git.http import GitHttp, Limits
from gitml_sandbox.rest import actions as rest_actions
from gitml_sandbox.rest import operations as rest
from gitml_sandbox.server.guard import BodyLimit, HostCheck, SecurityHeaders, is_api, problem
from gitml_sandbox.web import routes as web


def create_app(sandbox: Sandbox, limits: Limits | None = None) -> Starlette:
    """The whole application. ``limits`` bound what one client may take."""
    git = GitHttp(sandbox, limits)
    app = Starlette(
        routes=[Route("/healthz", _health), *_routes(sandbox)],
        middleware=[
            Middleware(HostCheck),
            Middleware(SecurityHeaders),
            Middleware(GitFirst, git=git),
            Middleware(BodyLimit, idle=git.limits.idle),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _bug},
    )
    app.state.git = git  # whoever serves it closes it
    return app


class GitFirst:
    """Git's paths go to ``git``, before anything reads the body."""

    def __init__(self, app: ASGIApp, git: GitHttp) -> None:
        self.app = app
        self.git = git

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and PATH.fullmatch(scope["path"]) and not is_api(scope["path"])
        await (self.git if ours else self.app)(scope, receive, send)


def _routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Pages take what the API leaves."""
    return [*rest.routes(sandbox), *rest_actions.routes(sandbox), *web.routes(sandbox)]


def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        return _bug(request, exc)
    return problem(request.scope["path"], exc.status_code, exc.detail, exc.headers)


def _bug(request: Request, exc: Exception) -> Response:
    return problem(request.scope["path"], 500, "Server Error")
