"""HTTP for gitml's clients: JSON calls with a token, repeated as long as that is safe, errors without secrets."""

from __future__ import annotations

import email.utils
import json
import os
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from gitml import __version__, clock
from gitml.errors import OutsideError, UsageError
from gitml.retries import Patience

MAX_BODY = 64_000_000
GITHUB = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class HttpError(OutsideError):
    """The server refused, or gave no answer that can be used. ``status`` is 0 when there was no answer, and 2xx when
    there was one that no API gives."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


class UnsureError(HttpError):
    """The call may or may not have been carried out: look before it is sent again, after ``after`` seconds."""

    after = 0.0


@dataclass(frozen=True)
class Answer:
    """A 2xx or 304 answer: ``value`` is its JSON, None without a body; names of ``headers`` are in small letters."""

    status: int
    value: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """``path`` is below the base address. ``repeatable``: carried out twice it does the same as once."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    repeatable: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class _Failure:
    """One try that gave nothing. ``sent``: the server may have carried it out; ``after``: seconds it asks for.

    ``most`` limits the tries further.
    """

    what: str
    status: int = 0
    sent: bool = False
    passing: bool = True
    after: float | None = None
    hint: str = ""
    most: int = 100


class Http:
    """A connection to one server. Its token appears in no message, and goes to no other server."""

    def __init__(self, client: httpx.Client, token: str, patience: Patience, note: Callable[[str], None]) -> None:
        self._client, self._token, self.patience, self._note = client, token, patience, note

    def __repr__(self) -> str:
        return f"Http({self._client.base_url})"

    @property
    def address(self) -> str:
        """The base address, without a slash at its end."""
        return str(self._client.base_url).rstrip("/")

    def send(self, request: Request) -> Answer:
        """The answer. Raises HttpError, or UnsureError when it is not known whether the call was carried out."""
        began, failures = time.monotonic(), 0
        while True:
            result = self._try(request)
            if isinstance(result, Answer):
                return result
            failures += 1
            if result.sent and not request.repeatable:
                unsure = UnsureError(self._said(request, result, failures, began), result.hint, status=result.status)
                unsure.after = min(result.after or 0.0, self.patience.longest)
                raise unsure
            wait = self.patience.wait(failures) if result.after is None else result.after + random.random() * 0.2  # noqa: S311
            left = self.patience.total - (time.monotonic() - began)
            if not result.passing or failures >= min(self.patience.tries, result.most) or wait > left:
                raise HttpError(self._said(request, result, failures, began), result.hint, status=result.status)
            self._note(self.clean(f"{request}: {result.what}; again in {wait:.1f} s"))
            time.sleep(wait)

    def download(self, path: str, *, most: int = MAX_BODY) -> bytes:
        """The bytes at ``path``, also where it leads to a store on another server: that one never sees the token."""
        request = Request("GET", path)
        try:
            response, body = self._ask(request)
            if response.status_code in (302, 303) and (place := response.headers.get("location")):
                body = _fetched(self._client, response.url.join(place), most)
            elif response.status_code != 200:
                said = f"{request}: {response.status_code}{_message_of(body)}"
                raise HttpError(self.clean(said), status=response.status_code)
        except httpx.HTTPError as exc:
            raise HttpError(self.clean(f"{request}: {exc}"), "try again later") from exc
        if len(body) > most:
            raise HttpError(f"{request}: larger than {most:,} bytes")
        return body

    def clean(self, text: str) -> str:
        """The text without the token."""
        return text.replace(self._token, "***") if self._token else text

    def _said(self, request: Request, failure: _Failure, failures: int, began: float) -> str:
        took = time.monotonic() - began
        tries = f" ({failures} tries in {took:.0f} s)" if failures > 1 else ""
        return self.clean(f"{self._client.base_url.host}: {request}: {failure.what}{tries}")

    def _try(self, request: Request) -> Answer | _Failure:
        try:
            return self._judged(request, self._ask(request))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            return _Failure(f"no connection: {exc}", hint="is the address right, and the network there?")
        except httpx.TimeoutException:
            return _Failure(f"no answer within {self.patience.answer:.0f} s", sent=True)
        except httpx.TransportError as exc:
            return _Failure(f"the answer broke off: {exc}", sent=True)
        except httpx.HTTPError as exc:
            return _Failure(f"the answer cannot be read: {exc}", sent=True)

    def _ask(self, request: Request) -> tuple[httpx.Response, bytes]:
        sent = self._client.build_request(
            request.method,
            request.path,
            params=dict(request.query) or None,
            json=request.body,
            headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
        )
        response = self._client.send(sent, stream=True)
        for _ in range(3):
            target = self._moved_to(response)
            if target is None:
                break
            response.close()
            sent.url = target
            response = self._client.send(sent, stream=True)
        try:
            return response, _body_of(response)
        finally:
            response.close()

    def _moved_to(self, response: httpx.Response) -> httpx.URL | None:
        """Where a redirect leads, on the same server only: the token must not travel."""
        if response.status_code not in (301, 307, 308):
            return None
        target = response.url.join(response.headers.get("location", ""))
        same = (target.scheme, target.host, target.port) == (response.url.scheme, response.url.host, response.url.port)
        return target if same else None

    def _judged(self, request: Request, got: tuple[httpx.Response, bytes]) -> Answer | _Failure:
        response, body = got
        status = response.status_code
        if 200 <= status < 300 or status == 304:
            return _answer(response, body)
        said = f"{status} {response.reason_phrase}".strip() + _message_of(body)
        after = _asked_to_wait(response)
        if after is not None and (status == 429 or (status == 403 and _is_limit(response, body))):
            return _Failure(f"rate limit: {said}", status, after=after, hint=f"the server asks to wait {after:.0f} s")
        if status == 429 or (status == 403 and _is_limit(response, body)):
            return _Failure(f"rate limit: {said}", status)
        if status >= 500:
            return _Failure(said, status, sent=True, after=after, hint="the server has a problem: try again later")
        # Somebody else wrote at the same moment: a call that can be repeated may pass a little later.
        passing = status == 408 or (status == 409 and request.repeatable and request.method != "GET")
        return _Failure(said, status, passing=passing, hint=_hint(response), most=4)


def _fetched(client: httpx.Client, url: httpx.URL, most: int) -> bytes:
    with client.stream("GET", url, follow_redirects=False) as response:
        if response.status_code != 200:
            raise HttpError(f"the store answers {response.status_code}", status=response.status_code)
        if int(response.headers.get("content-length") or 0) > most:
            raise HttpError(f"what the store has is larger than {most:,} bytes")
        return _body_of(response)


def _body_of(response: httpx.Response) -> bytes:
    parts, length = [], 0
    for part in response.iter_bytes():
        length += len(part)
        if length > MAX_BODY:
            raise httpx.DecodingError(f"longer than {MAX_BODY:,} bytes", request=response.request)
        parts.append(part)
    return b"".join(parts)


def _answer(response: httpx.Response, body: bytes) -> Answer | _Failure:
    headers = {k.lower(): v for k, v in response.headers.items()}
    if not body:
        return Answer(response.status_code, None, headers)
    try:
        return Answer(response.status_code, json.loads(body), headers)
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type", "no type")
        what = f"{response.status_code}, but the answer is not JSON ({kind[:60]}, {len(body):,} bytes)"
        return _Failure(
            what, response.status_code, sent=True, hint="is this the address of the API, and is no proxy in between?"
        )


def _message_of(body: bytes) -> str:
    """The server's own words, shortened: of JSON its message and errors. GitLab has a message for each field."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    message = (told.get("message") or told.get("error")) if isinstance(told, dict) else None
    errors = told.get("errors") if isinstance(told, dict) else None
    if not message or not isinstance(message, str | list | dict):
        return ""
    parts = [*_said_in(message), *(_error_of(e) for e in (errors if isinstance(errors, list) else [])[:3])]
    return ": " + "; ".join(p[:300] for p in parts if p)


def _said_in(message: str | list[Any] | dict[str, Any]) -> list[str]:
    if isinstance(message, str):
        return [message]
    named = list(message.items()) if isinstance(message, dict) else [("", one) for one in message]
    return [
        f"{name} {', '.join(map(str, said)) if isinstance(said, list) else said}".strip() for name, said in named[:3]
    ]


def _error_of(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    return " ".join(str(error[key]) for key in ("field", "message", "code") if isinstance(error.get(key), str))


def _is_limit(response: httpx.Response, body: bytes) -> bool:
    """GitHub says 403 for both: no permission, and too many calls."""
    if response.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in response.headers:
        return True
    return re.search(rb"rate limit|abuse detection", body[:4000], re.IGNORECASE) is not None


def _asked_to_wait(response: httpx.Response) -> float | None:
    """Seconds from Retry-After (a number or a date), or until the limit is reset; None when the server names none."""
    asked = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,7}", asked):
        return float(asked)
    if asked:
        with_date = email.utils.parsedate_tz(asked)
        return max(0.0, email.utils.mktime_tz(with_date) - clock.machine()) if with_date else None
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and re.fullmatch(r"[0-9]{1,12}", reset):
        return max(0.0, float(reset) - clock.machine())
    return None


def _hint(response: httpx.Response) -> str:
    needs = response.headers.get("x-accepted-github-permissions", "")[:200]
    hints = {
        301: "it has moved: use its new address",
        401: "the token is wrong, expired or revoked",
        403: "the token may not do this" + (f"; it needs: {needs}" if needs else "; give it the permission"),
        404: "is the name right, and may the token see it?",
        422: "see the server's words above",
    }
    return hints.get(response.status_code, "")


@contextmanager
def connected(
    base: str,
    token: str,
    *,
    patience: Patience | None = None,
    note: Callable[[str], None] = lambda _: None,
    headers: Mapping[str, str] = GITHUB,
) -> Iterator[Http]:
    """A connection to the API at ``base``; ``note`` hears of each try that is repeated, ``headers`` go with each call.

    Raises UsageError for an address or a token that cannot be used. Proxies and certificates are taken from the
    environment (HTTPS_PROXY, SSL_CERT_FILE).
    """
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise UsageError(
            "the API's address is none", "set GITHUB_API_URL (or CI_API_V4_URL), such as https://api.github.com"
        )
    if parts.scheme == "http" and parts.hostname not in clock.LOOPBACK:
        raise UsageError(f"{parts.hostname} is to be called without encryption", "use https:// in the API's address")
    # What a header cannot hold would be quoted in the error of the library below.
    if not re.fullmatch(r"[\x21-\x7e]*", token):
        raise UsageError("the token holds characters that no token has", "was it cut, or pasted with a line break?")
    chosen = patience or Patience()
    sent = {**headers, "User-Agent": f"gitml/{__version__}"}
    timeout = httpx.Timeout(chosen.answer, connect=min(10.0, chosen.answer))
    trusted = _authorities(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    with httpx.Client(base_url=base.rstrip("/") + "/", headers=sent, timeout=timeout, verify=trusted) as client:
        yield Http(client, token, chosen, note)


@cache
def _authorities(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Whom httpx trusts in this environment: 10 ms to read, which a job with many connections would pay for each."""
    return httpx.create_ssl_context()
