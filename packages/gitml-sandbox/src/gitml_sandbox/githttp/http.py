"""Git's smart HTTP protocol in front of `git http-backend`: who may, the body in a file, the answer passed on.

https://git-scm.com/docs/http-protocol
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gitml_sandbox import process
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.githttp.admission import Refusal, Wanted, admit
from gitml_sandbox.githttp.receive import Push, configuration, receive

T = TypeVar("T")
CHUNK = 65536
_THREADS = 16  # a push keeps one until its end, so no more pushes than this run at once


class GitHttp:
    """An ASGI application for the paths that ``access.PATH`` matches. ``close`` waits for what is running."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="git")

    async def __call__(self, scope: Scope, incoming: Receive, send: Send) -> None:
        request = Request(scope, incoming)
        try:
            wanted = await self._thread(lambda: admit(self.sandbox, request))
            await self._serve(request, wanted, send)
        except Refusal as refusal:
            await refusal.response(scope, incoming, send)
        except ClientDisconnect:
            return  # there is nobody to answer

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    async def _serve(self, request: Request, wanted: Wanted, send: Send) -> None:
        with tempfile.TemporaryFile(dir=self.sandbox.root / "tmp") as body:
            async for chunk in request.stream():
                body.write(chunk)
            cgi = wanted.cgi(request, body.tell())
            body.seek(0)
            if wanted.service == "git-receive-pack":
                await self._push(wanted, cgi, body, send)
            else:
                await self._fetch(cgi, body, send)

    async def _push(self, wanted: Wanted, cgi: dict[str, str], body: IO[bytes], send: Send) -> None:
        if wanted.caller is None:
            raise Refusal(401, "A token is needed to push.")
        push = Push(wanted.repo, wanted.caller.actor, cgi)
        try:
            answer = await self._thread(lambda: receive(self.sandbox, push, body))
        except SandboxError as exc:
            raise Refusal(503, exc.message) from exc
        with answer:
            await self._answer(answer, send)

    async def _fetch(self, cgi: dict[str, str], body: IO[bytes], send: Send) -> None:
        env = gitrepo.environment(cgi, configuration(self.sandbox))
        running = process.start(["git", "http-backend"], cwd=self.sandbox.repositories, env=env, stdin=body)
        assert running.stdout is not None
        try:
            await self._answer(running.stdout, send)
        finally:
            process.stop(running)
            running.stdout.close()

    async def _answer(self, cgi: IO[bytes], send: Send) -> None:
        """Pass a CGI answer on."""
        status, headers = await self._thread(lambda: _head(cgi))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        read: Callable[[int], bytes] = getattr(cgi, "read1", cgi.read)
        while chunk := await self._thread(lambda: read(CHUNK)):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


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
