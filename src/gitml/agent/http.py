"""The agent's own two addresses beside those of its models: how it stands, and a knock that wakes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from gitml.jsontext import plain
from gitml.serving.limits import Limits
from gitml.serving.wire import GoneError, RequestError, read_body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE, WAKE = "/gitml/state", "/gitml/wake"
_LIMITS = Limits(body=1_000_000)
_JSON = {"application/json": {"schema": {"type": "object"}}}
# What stands in front of the server, for its OpenAPI.
PATHS: Mapping[str, Any] = {
    STATE: {
        "get": {
            "operationId": "agent-state",
            "summary": "What the agent wants, runs and last did",
            "responses": {
                "200": {"description": "Its state", "content": _JSON},
                "401": {"description": "No known token", "content": _JSON},
            },
        }
    },
    WAKE: {
        "post": {
            "operationId": "agent-wake",
            "summary": "A webhook of the forge: look at main now",
            "responses": {
                "202": {"description": "It looks", "content": _JSON},
                **{
                    code: {"description": words, "content": _JSON}
                    for code, words in {
                        "400": "Not readable",
                        "401": "Not signed with the secret",
                        "408": "The body came too slowly",
                        "413": "Too large",
                        "415": "Packed in another way than gzip",
                    }.items()
                },
            },
        }
    },
}


def with_agent(
    app: App, view: Callable[[], Any], wake: Callable[[], None], *, secret: str = "", allowed: Callable[[Scope], bool]
) -> App:
    """``app``, with GET /gitml/state and POST /gitml/wake in front of it.

    ``view`` says what the state is. A knock only makes the agent look at main at once, so whoever can reach the
    server may knock; with a ``secret`` it must be signed as GitHub signs its webhooks. ``allowed`` says who may read
    the state.
    """

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "") if scope["type"] == "http" else ""
        if path == STATE:
            await _state(scope, send, view, allowed)
        elif path == WAKE:
            await _wake(scope, receive, send, wake, secret)
        else:
            await app(scope, receive, send)

    return both


async def _state(scope: Scope, send: Send, view: Callable[[], Any], allowed: Callable[[Scope], bool]) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        return await _answer(send, 405, {"error": "GET only"}, (b"allow", b"GET, HEAD"))
    if not allowed(scope):
        return await _answer(send, 401, {"error": "this server answers callers with a token only"})
    return await _answer(send, 200, plain(view()))


async def _wake(scope: Scope, receive: Receive, send: Send, wake: Callable[[], None], secret: str) -> None:
    if scope["method"] != "POST":
        return await _answer(send, 405, {"error": "POST only"}, (b"allow", b"POST"))
    try:
        body = await read_body(scope, receive, _LIMITS)
    except RequestError as exc:
        return await _answer(send, exc.code, {"error": exc.message})
    except GoneError:
        return None
    headers = dict(scope.get("headers", ()))
    if secret and not is_signed(body, headers.get(b"x-hub-signature-256", b""), secret):
        return await _answer(send, 401, {"error": "the signature is not that of the secret"})
    wake()
    return await _answer(send, 202, {"woken": True})


def is_signed(body: bytes, signature: bytes, secret: str) -> bool:
    """Whether ``signature`` is what GitHub's header X-Hub-Signature-256 says for this body.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature)


async def _answer(send: Send, status: int, value: Mapping[str, Any], *more: tuple[bytes, bytes]) -> None:
    body = json.dumps(value, allow_nan=False).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, *more, (b"cache-control", b"no-store")]}
    )
    await send({"type": "http.response.body", "body": body})
