"""Login and logout: a password, a session cookie."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gitml_sandbox.forge import users
from gitml_sandbox.forge.refusals import RefusalError
from gitml_sandbox.web import guard as web_guard
from gitml_sandbox.web import sessions as web_sessions
from gitml_sandbox.web.serve import Site, html, read_form, refusal

LOGIN_COOKIE_SECONDS = 3600
WRONG = "There is no user with this name and password."


def routes(site: Site) -> list[Route]:
    """GET and POST of /login, POST of /logout."""
    return [
        Route("/login", lambda request: show(site, request), methods=["GET"]),
        Route("/login", _posting(site, lambda r, f: log_in(site, r, f)), methods=["POST"]),
        Route("/logout", _posting(site, lambda r, f: log_out(site, r, f)), methods=["POST"]),
    ]


def _posting(
    site: Site, act: Callable[[Request, dict[str, str]], Response]
) -> Callable[[Request], Awaitable[Response]]:
    def checked(request: Request, raw: bytes) -> Response:
        try:
            if not web_guard.same_origin(request):
                raise RefusalError(403, "This form was sent from another site.")
            return act(request, read_form(raw))
        except RefusalError as no:
            return refusal(site, request, no)

    async def answer(request: Request) -> Response:
        return await run_in_threadpool(checked, request, await request.body())

    return answer


def show(site: Site, request: Request, *, problem: str = "", login: str = "", status: int = 200) -> Response:
    """The form. Its token belongs to a cookie of its own, as there is no session yet."""
    secret = web_guard.cookie(request, "login") or secrets.token_urlsafe(24)
    text = site.templates.get_template("login.html").render(
        me=None,
        visit=None,
        repo=None,
        home="",
        here="",
        css=site.css,
        csrf=web_guard.form_token(secret),
        problem=problem,
        login=login,
        next=web_guard.local_path(request.query_params.get("next", "/")),
    )
    response = html(text, status)
    web_guard.set_cookie(request, response, "login", secret, LOGIN_COOKIE_SECONDS)
    return response


def log_in(site: Site, request: Request, form: dict[str, str]) -> Response:
    """A session for the right password."""
    login, password = form.get("login", "").strip(), form.get("password", "")
    if not web_guard.right_token(web_guard.cookie(request, "login"), form):
        return show(site, request, problem="This form is out of date. Try again.", login=login, status=403)
    with site.sandbox.store.read() as tx:
        who = users.check_password(tx, login, password) if len(password) <= 1000 else None
    if who is None or who.type != "User":
        return show(site, request, problem=WRONG, login=login, status=403)
    with site.sandbox.store.write() as tx:
        # A session that the browser still has ends: nobody else's stays behind.
        web_sessions.end(tx, web_guard.cookie(request, "session"))
        secret = web_sessions.begin(tx, who, site.sandbox.clock())
    response = RedirectResponse(web_guard.local_path(form.get("next", "/")), 303)
    web_guard.set_cookie(request, response, "session", secret, int(web_sessions.LIFE.total_seconds()))
    return response


def log_out(site: Site, request: Request, form: dict[str, str]) -> Response:
    """End the session here and in the browser."""
    secret = web_guard.cookie(request, "session")
    if secret and not web_guard.right_token(secret, form):
        raise RefusalError(403, "This form is out of date. Go back, reload the page and try again.")
    with site.sandbox.store.write() as tx:
        web_sessions.end(tx, secret)
    response = RedirectResponse("/", 303)
    web_guard.set_cookie(request, response, "session", "", 0)
    return response
