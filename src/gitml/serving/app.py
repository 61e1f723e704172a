"""The server as an ASGI application: plain JSON, the Open Inference Protocol v2, metrics, a page about itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from gitml import __version__
from gitml.errors import GitmlError
from gitml.serving import docspage, openapi, v2
from gitml.serving import plainjson as plain
from gitml.serving.answering import Answering, Ask, head_lines
from gitml.serving.auth import ANYBODY, Access, access, require
from gitml.serving.explaining import Explaining
from gitml.serving.metrics import CONTENT_TYPE, Metrics
from gitml.serving.plainjson import AskedRows
from gitml.serving.routes import READ, Route, route
from gitml.serving.sharedpages import SharedPages
from gitml.serving.state import Served, ServerState
from gitml.serving.wire import (
    GoneError,
    Receive,
    RequestError,
    Response,
    Scope,
    Send,
    error,
    header,
    read_body,
    request_id,
    respond,
)
from gitml.traffic import intake
from gitml.traffic.predictionlog import NoLog, Sink
from gitml.traffic.writing import Taken

# What needs no token, because load balancers ask without one; so may `/` be, but it then says nothing of the models.
_OPEN = frozenset({"/v2/health/live", "/v2/health/ready"})


def create_app(
    state: ServerState,
    log: Sink | None = None,
    *,
    tokens: Mapping[str, Access] | None = None,
    taken: Taken | None = None,
    described: Mapping[str, Any] | None = None,
    pages: SharedPages | None = None,
) -> App:
    """An ASGI application that answers with what ``state`` holds. ``tokens``: SHA-256 of each token → its access.

    ``described``: paths of OpenAPI that something in front of the application answers. ``pages``: metrics of the other
    processes behind this port.
    """
    return App(state, log or NoLog(), tokens or {}, taken or Taken(), described or {}, pages)


class App:
    """One server. Requests come in by ``__call__``; nothing raises out of it."""

    def __init__(
        self,
        state: ServerState,
        log: Sink,
        tokens: Mapping[str, Access],
        taken: Taken,
        described: Mapping[str, Any],
        pages: SharedPages | None = None,
    ) -> None:
        self._taken, self._described = taken, described
        self.metrics = Metrics(state, log.stats, pages)
        self._state, self._tokens = state, tokens
        self._answering = Answering(self.metrics, log, state.limits)
        self._explaining = Explaining()
        self._open_requests = 0
        self._pages: dict[str, Callable[[Scope], Response]] = {
            "/": lambda _: self._front(),
            "/docs": self._docs,
            "/openapi.json": lambda _: _json(self._description()),
            "/metrics": lambda _: Response(self.metrics.text(), content_type=CONTENT_TYPE.encode()),
            "/v2": lambda _: _json({"name": "gitml", "version": __version__, "extensions": ["binary_tensor_data"]}),
            "/v2/health/live": lambda _: _json({"live": True}),
            "/v2/health/ready": lambda _: self._ready(),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        self._open_requests += 1
        try:
            response = await self._responded(scope, receive)
        except GoneError:
            return
        finally:
            self._open_requests -= 1
        await respond(send, response)

    async def _responded(self, scope: Scope, receive: Receive) -> Response:
        try:
            return await self._routed(scope, receive)
        except RequestError as exc:
            if exc.code not in (200, 422):
                self.metrics.refused(exc.reason)
            return error(exc)
        except GoneError:
            raise
        except GitmlError as exc:
            return error(RequestError(500, "bug", exc.message, hint=exc.hint))
        except Exception as exc:  # the request's boundary: one broken request must not harm another
            self.metrics.refused("bug")
            return error(RequestError(500, "bug", f"the server failed on this request: {type(exc).__name__}"))

    async def _routed(self, scope: Scope, receive: Receive) -> Response:
        path, method = scope["path"], scope["method"]
        _one_host(scope)
        if path == "/" and method in READ and not self._knows(scope):
            return _json({"gitml": __version__})
        found = route(path)
        by = ANYBODY if path in _OPEN else access(scope, self._tokens)
        if found is None:
            raise RequestError(404, "path", f"nothing is at {path[:100]!r}", hint="GET /docs shows what there is")
        if method not in found.methods:
            allowed = ", ".join(found.methods)
            raise RequestError(
                405, "method", f"{method[:20]} is not answered here", headers=[(b"allow", allowed.encode())]
            )
        match found.kind:
            case "predict" | "infer":
                served = self._in_service(found.name, found.version)
                return await self._predicted(scope, receive, served, found.version, by, is_v2=found.kind == "infer")
            case "explain":
                return await self._explained(scope, receive, self._in_service(found.name), by)
            case "labels":
                return await self._labelled(scope, receive, found.name, by)
            case "events":
                return await self._told(scope, receive, by)
        return self._got(found, path, scope)

    async def _predicted(
        self, scope: Scope, receive: Receive, served: Served, version: str, by: Access, *, is_v2: bool
    ) -> Response:
        require(by, "predict")
        unit = header(scope, b"gitml-unit").decode("utf-8", "surrogateescape")
        name_it, began, strict = partial(request_id, scope), time.perf_counter(), _is_strict(scope)

        def asking(read: Callable[[], AskedRows], size: int) -> Ask:
            return Ask(served, version, read, size, unit, name_it, began, strict, by.caller)

        try:
            self._refuse_when_busy()
            body = await read_body(scope, receive, self._state.limits)
            read = self._reader(scope, body, served, version, is_v2=is_v2)
        except RequestError as exc:
            self._answering.refused(asking(_unread, 0), exc)
            raise
        found = await self._answering.answer(asking(read, len(body)))
        signature = found.variant.model.signature
        if is_v2:
            response = v2.answered(found.head, signature, found.answers, found.asked.extra, found.unknown)
        else:
            response = Response(plain.answer(found.head, signature, found.answers, found.unknown))
        response.headers += head_lines(found.head)
        return response

    async def _explained(self, scope: Scope, receive: Receive, served: Served, by: Access) -> Response:
        require(by, "explain")
        self._refuse_when_busy()
        body = await read_body(scope, receive, self._state.limits)
        asked = plain.asked(body, self._state.limits)
        unit = header(scope, b"gitml-unit").decode("utf-8", "surrogateescape")
        return _json(await self._explaining.explain(served, asked, unit, request_id(scope, asked.id)))

    def _refuse_when_busy(self) -> None:
        if self._open_requests > self._state.limits.requests:
            raise RequestError(429, "busy", "too many requests are in work", headers=[(b"retry-after", b"1")])

    async def _labelled(self, scope: Scope, receive: Receive, name: str, by: Access) -> Response:
        require(by, "labels")
        self._refuse_when_busy()
        body = await read_body(scope, receive, self._state.limits)
        store = self._taken.labels
        if store is None:
            raise RequestError(404, "labels", "no labels are taken here", hint="start the server with a prediction log")
        # It waits for the disk: nobody else should.
        model = self._served(name).name
        status, said = await asyncio.to_thread(intake.receive_labels, store, model, body, by.caller, by.own)
        return Response(orjson.dumps(said), status)

    async def _told(self, scope: Scope, receive: Receive, by: Access) -> Response:
        require(by, "events")
        self._refuse_when_busy()
        body = await read_body(scope, receive, self._state.limits)
        if self._taken.events is None:
            raise RequestError(404, "events", "no events are taken here", hint="start the server with a prediction log")
        status, said = await asyncio.to_thread(intake.receive_events, self._taken.events, body, by.caller)
        return Response(orjson.dumps(said), status)

    def _reader(
        self, scope: Scope, body: bytes, served: Served, version: str, *, is_v2: bool
    ) -> Callable[[], AskedRows]:
        limits = self._state.limits
        if not is_v2:
            return lambda: plain.asked(body, limits)
        length = header(scope, b"inference-header-content-length")
        if length and not length.isdigit():
            raise RequestError(400, "json", "inference-header-content-length is not a number")
        variant = served.variants[version] if version else served.champion
        return lambda: v2.asked(body, int(length[:20]) if length else None, variant.model.signature, limits)

    def _in_service(self, name: str, version: str = "") -> Served:
        """The same of a model that is not retired: what it answered before still gets labels."""
        served = self._served(name, version)
        if served.deployment.retired:
            hold = served.deployment.hold
            raise RequestError(410, "retired", f"{name} is retired", hint=hold.reason if hold else "")
        return served

    def _served(self, name: str, version: str = "") -> Served:
        served = self._state.served.get(name)
        if served is None:
            names = ", ".join(sorted(self._state.served)) or "none yet"
            raise RequestError(404, "model", f"no model {name[:64]!r} is served here", hint=f"models: {names}")
        if version and version not in served.variants:
            raise RequestError(
                404, "version", f"{name} {version[:64]!r} is not served", hint=", ".join(served.variants)
            )
        return served

    def _got(self, found: Route, path: str, scope: Scope) -> Response:
        match found.kind:
            case "metadata":
                return self._metadata(found.name, found.version)
            case "ready":
                return _json({"name": self._in_service(found.name, found.version).name, "ready": True})
            case "model":
                return _json(openapi.described(self._served(found.name)))
        return self._pages[path.rstrip("/") or "/"](scope)

    def _metadata(self, name: str, version: str) -> Response:
        served = self._served(name, version)
        variant = served.variants[version] if version else served.champion
        return _json(v2.metadata(name, list(served.variants), variant.model.format, variant.model.signature))

    def _description(self) -> dict[str, Any]:
        state, takes, asks = self._state, self._taken.labels is not None, bool(self._tokens)
        return openapi.document(state.served, state.limits, taken=takes, asks=asks, more=self._described)

    def _docs(self, scope: Scope) -> Response:
        host = header(scope, b"host").decode("latin-1")
        address = f"{scope.get('scheme', 'http')}://{host}"
        body = docspage.page(self._state.served, address, asks=bool(self._tokens))
        return Response(body, content_type=b"text/html; charset=utf-8")

    def _ready(self) -> Response:
        ready = bool(self._state.served) and not self._state.closing
        return Response(orjson.dumps({"ready": ready}), 200 if ready else 503)

    def _front(self) -> Response:
        models = {name: openapi.described(served) for name, served in self._state.served.items()}
        return _json({"gitml": __version__, "environment": self._state.environment, "models": models})

    def _knows(self, scope: Scope) -> bool:
        """Whether the caller is one of those that have a token, where there are tokens."""
        try:
            access(scope, self._tokens)
        except RequestError:
            return False
        return True


def _is_strict(scope: Scope) -> bool:
    value = header(scope, b"gitml-strict").lower()
    if not value:
        return False
    if value not in (b"true", b"1", b"false", b"0"):
        raise RequestError(400, "strict", "the header gitml-strict is neither true nor false")
    return value in (b"true", b"1")


def _json(value: object) -> Response:
    return Response(orjson.dumps(value))


def _unread() -> AskedRows:
    raise RequestError(400, "json", "the body was not read")


def _one_host(scope: Scope) -> None:
    """Raises RequestError 400 for a request of HTTP/1.1 without a Host, or with two (RFC 9112, section 3.2)."""
    count = [key for key, _ in scope["headers"]].count(b"host")
    if count != 1 and (count or scope.get("http_version") != "1.0"):
        words = "the request names no host" if not count else "the request names two hosts"
        raise RequestError(400, "host", words, hint="send the header Host once")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
