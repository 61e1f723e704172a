"""Pages: who visits, may they see it, the page or the change, and what a browser is told about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import jinja2
from pydantic import ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gitml_sandbox.errors import OutsideError, UsageError
from gitml_sandbox.forge import access, auth, push_policy, repos
from gitml_sandbox.forge.auth import Caller
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.tokens import Token
from gitml_sandbox.forge.users import User
from gitml_sandbox.rest.call import Body, Call, Operation, Reply
from gitml_sandbox.rest.serve import as_refusal, outside
from gitml_sandbox.web import guard as web_guard
from gitml_sandbox.web import sessions as web_sessions
from gitml_sandbox.web import words as web_words

MAX_FORM = 1 << 20
_REFUSALS = (UsageError, OutsideError, push_policy.RefusedError, ValidationError)


def templates(sandbox: Sandbox) -> jinja2.Environment:
    """The templates of this package; everything that they are given is escaped."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("gitml_sandbox.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(web_words.filters(sandbox))
    return found


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    sandbox: Sandbox
    templates: jinja2.Environment
    css: str


@dataclass(frozen=True)
class Visit:
    """One request for a page. ``token`` is set where a program came with one in its header."""

    site: Site
    request: Request
    tx: sqlite3.Connection
    user: User | None
    token: Token | None
    repo_: Repo | None
    role: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    problem: str = ""
    status: int = 200

    @property
    def sandbox(self) -> Sandbox:
        return self.site.sandbox

    @property
    def repo(self) -> Repo:
        if self.repo_ is None:
            raise not_found()
        return self.repo_

    @property
    def home(self) -> str:
        """The address of the repository's pages."""
        return f"/{quote(self.repo.full_name)}"

    @property
    def view(self) -> View:
        return View(self.sandbox, self.tx, self.user.id if self.user else None)

    @property
    def writes(self) -> bool:
        return self.user is not None and repos.at_least(self.role, "write")

    @property
    def actor(self) -> Actor | None:
        return Actor(self.user) if self.user else None

    def number(self, name: str) -> int:
        """An id of the address; what is none names nothing."""
        word = self.path[name]
        if not word.isascii() or not word.isdigit() or len(word) > 18:
            raise not_found()
        return int(word)

    def page_number(self) -> int:
        word = self.query.get("page", "")
        return max(int(word), 1) if word.isascii() and word.isdigit() and len(word) < 8 else 1

    def show(self, template: str, *, after: Callable[[], None] | None = None, **words: Any) -> Response:
        """The page, with what every template needs."""
        secret = web_guard.cookie(self.request, "session")
        text = self.site.templates.get_template(template).render(
            visit=self,
            me=self.user,
            repo=self.repo_,
            home=self.home if self.repo_ else "",
            csrf=web_guard.form_token(secret) if self.user else "",
            css=self.site.css,
            here=_here(self.request),
            **words,
        )
        return html(text, self.status, after)


Handler = Callable[[Visit], Response]


@dataclass(frozen=True)
class Page:
    """One address. ``change`` is what a form sent there does: it returns where to go next.

    ``role`` is what a visitor needs in the repository, for the page and the change alike. ``scope``: the page is also
    for programs, with a token that may read that.
    """

    path: str
    handler: Handler
    change: Callable[[Visit], str] | None = None
    role: str = "read"
    login: bool = False
    scope: str = ""


def html(text: str, status: int = 200, after: Callable[[], None] | None = None) -> Response:
    headers = {**web_guard.CACHE, "Content-Security-Policy": web_guard.CSP}
    task = BackgroundTask(after) if after else None
    return Response(
        text.encode(errors="replace"), status, headers, media_type="text/html; charset=utf-8", background=task
    )


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{quote(request.url.path)}{query}"


def endpoint(site: Site, page: Page) -> Callable[[Request], Awaitable[Response]]:
    """The page as an endpoint: the body is read here, the work is done in a thread."""

    async def answer(request: Request) -> Response:
        raw = await request.body() if request.method == "POST" else b""
        return await run_in_threadpool(respond, site, page, request, raw)

    return answer


def respond(site: Site, page: Page, request: Request, raw: bytes) -> Response:
    """The whole answer, refusals included."""
    try:
        form = read_form(raw)
        with site.sandbox.store.read() as tx:
            visit = arrive(site, page, request, tx, form)
            if request.method != "POST":
                return page.handler(visit)
            admit_change(visit)
        return _change(site, page, visit)
    except _REFUSALS as exc:
        return refusal(site, request, as_refusal(exc))
    except (sqlite3.OperationalError, OSError) as exc:
        return refusal(site, request, outside(exc))


def _change(site: Site, page: Page, visit: Visit) -> Response:
    """Do what the form asks and send the browser on; a refusal shows the page again, with what was typed."""
    if page.change is None:
        raise RefusalError(405, "Method Not Allowed")
    try:
        return RedirectResponse(page.change(visit), 303)
    except _REFUSALS as exc:
        no = as_refusal(exc)
        if no.status in (401, 404):
            raise no from exc
    with site.sandbox.store.read() as tx:
        again = arrive(site, page, visit.request, tx, visit.form)
        return page.handler(replace(again, problem=sentence(no), status=no.status))


def sentence(no: RefusalError) -> str:
    """All that a refusal says, as one text."""
    details = [e if isinstance(e, str) else e.get("message") or f"{e['field']}: {e['code']}" for e in no.errors]
    if no.message in ("Validation Failed", "Unprocessable Entity") and details:
        return " ".join(str(d) for d in details)
    return " ".join([no.message, *(str(d) for d in details)])


def read_form(raw: bytes) -> dict[str, str]:
    """The fields of a form. Raises RefusalError for what is none."""
    if len(raw) > MAX_FORM:
        raise RefusalError(413, "The form is too large.")
    try:
        # Browsers send line ends as CRLF; what is stored has plain ones, as through the API.
        return {k: v.replace("\r\n", "\n") for k, v in parse_qsl(raw.decode(), True, max_num_fields=100)}
    except ValueError:
        raise RefusalError(400, "The form cannot be read.") from None


def arrive(site: Site, page: Page, request: Request, tx: sqlite3.Connection, form: Mapping[str, str]) -> Visit:
    """Who it is and whether the page exists for them: what is private is not there, before anything else."""
    path = _words(request)
    user, token = _who(site, page, request, tx)
    repo, role = None, "none"
    if "owner" in path:
        repo = repos.find(tx, path["owner"], path["repo"])
        role = access.role(tx, repo, user.id if user else None, token) if repo else "none"
        if repo is None or not access.sees(repo, role, token):
            raise not_found()
        if token is not None and repo.private and not token.allows(page.scope, "read", repo.id):
            raise RefusalError(403, f"This token may not read {page.scope}.")
    if user is None and page.login:
        raise RefusalError(401, "Log in first.")
    if repo is not None and not repos.at_least(role, page.role):
        raise RefusalError(403 if user else 401, f"Only people who may {page.role} here see this page.")
    query = dict(reversed(request.query_params.multi_items()))
    return Visit(site, request, tx, user, token, repo, role, path, query, form)


def _who(site: Site, page: Page, request: Request, tx: sqlite3.Connection) -> tuple[User | None, Token | None]:
    """By cookie; by token where a program asks for a raw file or a log, never for a change."""
    if page.scope and request.method != "POST" and "authorization" in request.headers:
        try:
            caller = auth.identify(tx, request.headers["authorization"], site.sandbox.now())
        except auth.BadCredentialsError:
            raise RefusalError(401, "Bad credentials") from None
        return (caller.user, caller.token) if caller else (None, None)
    secret = web_guard.cookie(request, "session")
    return (web_sessions.find(tx, secret, site.sandbox.clock()) if secret else None), None


def _words(request: Request) -> dict[str, str]:
    """The words of the address. The rest of a path is read from the raw bytes: file names need not be UTF-8."""
    words = {name: str(value) for name, value in request.path_params.items()}
    if "rest" in words:
        raw = (request.scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
        words["rest"] = unquote(raw, errors="surrogateescape").split("/", 4)[-1] if raw.count("/") >= 4 else ""
    return words


def admit_change(visit: Visit) -> None:
    """A change needs a session, a form of ours, sent from a page of ours."""
    if not web_guard.same_origin(visit.request):
        raise RefusalError(403, "This form was sent from another site.")
    if visit.user is None:
        raise RefusalError(401, "Log in first.")
    if not web_guard.right_token(web_guard.cookie(visit.request, "session"), visit.form):
        raise RefusalError(403, "This form is out of date. Go back, reload the page and try again.")


def perform(visit: Visit, operation: Operation, body: Body | None, **path: object) -> Reply:
    """Do an operation of the REST API as the visitor, by its own rules, in a transaction of its own kind."""
    if operation.tx == "none":
        with visit.sandbox.store.read() as tx:
            call = _call(visit, tx, operation, body, path)
        return _after(operation.handler(replace(call, tx=None)))
    with visit.sandbox.store.write() as tx:
        reply = operation.handler(_call(visit, tx, operation, body, path))
    return _after(reply)


def _after(reply: Reply) -> Reply:
    if reply.after:
        reply.after()
    return reply


def _call(
    visit: Visit, tx: sqlite3.Connection, operation: Operation, body: Body | None, path: Mapping[str, object]
) -> Call:
    user = web_sessions.find(tx, web_guard.cookie(visit.request, "session"), visit.sandbox.clock())
    if user is None:
        raise RefusalError(401, "Log in first.")
    repo = repos.by_id(tx, visit.repo.id)
    role = repos.permission(tx, repo, user.id)
    if role == "none":
        raise not_found()
    if not repos.at_least(role, operation.role):
        raise RefusalError(403, f"Only people who may {operation.role} to this repository can do that.")
    # A session has all the rights of its person, like a token without limits.
    caller = Caller(user, Token(0, user.id, "user", None, None))
    words = {name: str(value) for name, value in path.items()}
    return Call(visit.sandbox, tx, caller, repo, words, {}, body, visit.sandbox.base_url, "")


def refusal(site: Site, request: Request, no: RefusalError) -> Response:
    """A page that says no; who is not logged in and has to be is sent to the login."""
    if no.status == 401 and request.method == "GET" and "authorization" not in request.headers:
        return RedirectResponse(f"/login?next={quote(_here(request), safe='')}", 303)
    user = None
    if request.method == "GET":
        with site.sandbox.store.read() as tx:
            user = web_sessions.find(tx, web_guard.cookie(request, "session"), site.sandbox.clock())
    visit_words = {"me": user, "repo": None, "home": "", "css": site.css, "here": _here(request), "visit": None}
    secret = web_guard.cookie(request, "session")
    text = site.templates.get_template("error.html").render(
        status=no.status, message=sentence(no), csrf=web_guard.form_token(secret) if user else "", **visit_words
    )
    return html(text, no.status)


def missing(site: Site) -> Callable[[Request], Response]:
    """The page for every address that is none."""

    def answer(request: Request) -> Response:
        if request.url.path == "/api" or request.url.path.startswith("/api/"):
            raise HTTPException(404, "Not Found")
        return refusal(site, request, not_found())

    return answer
