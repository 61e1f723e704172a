"""The sandbox as one ASGI application: Git, REST, runner, web pages, behind the check of the host."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.githttp.admission import SERVICES
from gitml_sandbox.githttp.http import GitHttp
from gitml_sandbox.rest import actions as rest_actions
from gitml_sandbox.rest import operations as rest
from gitml_sandbox.server.guard import HostCheck, SecurityHeaders, problem
from gitml_sandbox.web import routes as web


def create_app(sandbox: Sandbox) -> Starlette:
    """The whole application."""
    git = GitHttp(sandbox)
    app = Starlette(
        routes=[Route("/healthz", _health), *_routes(sandbox, git)],
        middleware=[Middleware(HostCheck), Middleware(SecurityHeaders)],
        exception_handlers={HTTPException: _http_error, Exception: _bug},
    )
    app.state.git = git  # whoever serves it closes it
    return app


def _routes(sandbox: Sandbox, git: GitHttp) -> list[BaseRoute]:
    """Pages take what the API and Git leave."""
    paths = [Route(f"/{{owner}}/{{name}}/{service}", git) for service in ("info/refs", *SERVICES)]
    return [*rest.routes(sandbox), *rest_actions.routes(sandbox), *paths, *web.routes(sandbox)]


def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        return _bug(request, exc)
    return problem(request.scope["path"], exc.status_code, exc.detail, exc.headers)


def _bug(request: Request, exc: Exception) -> Response:
    return problem(request.scope["path"], 500, "Server Error")
