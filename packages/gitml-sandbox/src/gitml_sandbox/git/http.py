"""Git's smart HTTP protocol in front of `git http-backend`: how much, how long, how many at once.

https://git-scm.com/docs/http-protocol
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gitml_sandbox import process
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.access import Refusal, Wanted, admit
from gitml_sandbox.git.receive import Push, configuration, receive
from gitml_sandbox.server.guard import refuse

T = TypeVar("T")
CHUNK = 65536
_WANTS_BYTES = 10 << 20  # what a fetch asks for: object names, no content
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """What one client may take. Sizes in bytes, times in seconds, ``rate`` in bytes per second."""

    body: int = 1 << 30
    spare_disk: int = 256 << 20
    idle: float = 30.0
    total: float = 900.0
    rate: int = 500
    pushes: int = 8
    fetches: int = 16
    uploads: int = 64
    queue: float = 60.0


class GitHttp:
    """An ASGI application for the paths that gitaccess.PATH matches. ``close`` waits for what is running."""

    def __init__(self, sandbox: Sandbox, limits: Limits | None = None) -> None:
        self.sandbox = sandbox
        self.limits = limits or Limits()
        self._pushes = asyncio.Semaphore(self.limits.pushes)
        self._fetches = asyncio.Semaphore(self.limits.fetches)
        self._uploads = asyncio.Semaphore(self.limits.uploads)
        threads = self.limits.pushes + self.limits.fetches + 8
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="git")

    async def __call__(self, scope: Scope, incoming: Receive, send: Send) -> None:
        request = Request(scope, incoming)
        try:
            wanted = await self._thread(lambda: admit(self.sandbox, request))
            await self._serve(request, wanted, send)
        except Refusal as refusal:
            if request.method == "GET" or refusal.body_read:
                await refusal.response(scope, incoming, send)
            else:
                await refuse(refusal.response, incoming, send)
        except (ClientDisconnect, TimeoutError):
            return  # the server drops the connection: there is nobody to answer

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    async def _serve(self, request: Request, wanted: Wanted, send: Send) -> None:
        with tempfile.TemporaryFile(dir=self.sandbox.root / "tmp") as body:
            async with self._slot(self._uploads):
                size = await self._spool(request, wanted, body)
            cgi = wanted.cgi(request, size)
            try:
                if wanted.service == "git-receive-pack":
                    await self._push(wanted, cgi, body, send)
                else:
                    await self._fetch(cgi, body, send)
            except Refusal as refusal:
                refusal.body_read = True
                raise

    async def _spool(self, request: Request, wanted: Wanted, body: IO[bytes]) -> int:
        """Take the whole body to a nameless file: a slow client costs a file, never a backend."""
        limit = self.limits.body if wanted.service == "git-receive-pack" else _WANTS_BYTES
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise too_large(limit)
        size, begun = 0, time.monotonic()
        chunks = request.stream().__aiter__()
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), self.limits.idle)
            except StopAsyncIteration:
                body.seek(0)
                return size
            except TimeoutError:
                raise Refusal(408, "The client was silent for too long.") from None
            self._check(size, size + len(chunk), limit, time.monotonic() - begun)
            size += len(chunk)
            body.write(chunk)

    def _check(self, before: int, size: int, limit: int, seconds: float) -> None:
        if size > limit:
            raise too_large(limit)
        if seconds > _GRACE_SECONDS and size < self.limits.rate * seconds:
            raise Refusal(408, "The client is too slow.")
        if seconds > self.limits.total:
            raise Refusal(408, "The upload took too long.")
        megabyte = 1 << 20
        if size // megabyte > before // megabyte:
            free = shutil.disk_usage(self.sandbox.root).free
            if free < self.limits.spare_disk:
                raise Refusal(507, "The disk of the sandbox is full.")

    async def _push(self, wanted: Wanted, cgi: dict[str, str], body: IO[bytes], send: Send) -> None:
        if wanted.caller is None:
            raise Refusal(401, "A token is needed to push.")
        push = Push(wanted.repo, wanted.caller.actor, cgi, self.limits.body, self.limits.total)
        async with self._slot(self._pushes):
            try:
                answer = await self._thread(lambda: receive(self.sandbox, push, body))
            except SandboxError as exc:
                raise Refusal(503, exc.message) from exc
        with answer:
            await self._answer(answer, send)

    async def _fetch(self, cgi: dict[str, str], body: IO[bytes], send: Send) -> None:
        async with self._slot(self._fetches):
            env = gitrepo.environment(cgi, configuration(self.sandbox, self.limits.body))
            running = process.start(["git", "http-backend"], cwd=self.sandbox.repositories, env=env, stdin=body)
            assert running.stdout is not None
            try:
                async with asyncio.timeout(self.limits.total):
                    await self._answer(running.stdout, send)
            finally:
                process.stop(running)
                running.stdout.close()

    async def _answer(self, cgi: IO[bytes], send: Send) -> None:
        """Pass a CGI answer on. A client that does not take a piece in time is dropped."""
        status, headers = await self._thread(lambda: _head(cgi))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        read: Callable[[int], bytes] = getattr(cgi, "read1", cgi.read)
        while chunk := await self._thread(lambda: read(CHUNK)):
            async with asyncio.timeout(self.limits.idle):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def _slot(self, places: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(places.acquire(), self.limits.queue)
        except TimeoutError:
            raise Refusal(503, "The sandbox is busy.", {"Retry-After": "10"}) from None
        try:
            yield
        finally:
            places.release()

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request is larger than {limit >> 20} MiB.")


def _head(cgi: IO[bytes]) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Status and headers of a CGI answer (RFC 3875); an empty answer is a backend that died."""
    status, headers, line = 200, [], cgi.readline(CHUNK)
    if not line:
        raise Refusal(500, "The git backend ended without an answer.")
    while line.strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.strip().lower(), value.strip()))
        line = cgi.readline(CHUNK)
    return status, headers
