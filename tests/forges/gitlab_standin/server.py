"""The server: who asks, which operation, pages of lists, Git by `git http-backend`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from forges.gitlab_standin import description
from forges.gitlab_standin.operations import OPERATIONS
from forges.gitlab_standin.world import Ask, RefusedError, World
from gitml.files import write_file
from gitml.forges.memory import MemoryForge
from gitml.http import HttpError

TOKEN = "glpat-"
_GIT = re.compile(r"/(?P<repository>.+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
_PATHS = {key: re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", key[1])) for key in OPERATIONS}


@dataclass(frozen=True)
class Standin:
    """``url`` is its address; ``add`` puts a project in, which tokens of ``token_of`` may use.

    ``differences``: what GitLab's own description would say of its requests and answers, where a copy is there.
    """

    url: str
    worlds: dict[str, World]
    differences: set[str] = field(default_factory=set)

    def token_of(self, forge: MemoryForge, login: str) -> str:
        return f"{TOKEN}{login}:{forge.repository}"

    def add(self, forge: MemoryForge, *, premium: bool = False) -> World:
        made = World(forge, self.url, premium)
        made.project(forge.repository)
        self.worlds[forge.repository.lower()] = made
        return made


@contextmanager
def standing() -> Iterator[Standin]:
    worlds: dict[str, World] = {}
    found: set[str] = set()
    handler = type("Handler", (_Handler,), {"worlds": worlds, "differences": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Standin(f"http://127.0.0.1:{server.server_port}", worlds, found)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status_of(method: str, answer: Any) -> int:
    return 204 if answer is None else {"POST": 201}.get(method, 200)


class _Handler(BaseHTTPRequestHandler):
    worlds: Mapping[str, World] = {}
    differences: ClassVar[set[str]] = set()
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        content = self._content()
        parts = urlsplit(self.path)
        try:
            if parts.path == "/api/graphql":
                self._json(200, self._graphql(json.loads(content)))
            elif parts.path.startswith("/api/v4/"):
                self._operation(parts.path.removeprefix("/api/v4"), parse_qs(parts.query), content)
            else:
                self._git(unquote(parts.path), parts.query, content)
        except RefusedError as exc:
            self._json(exc.status, {"message": exc.message})
        except HttpError as exc:
            # The forge in memory answers as GitHub does.
            status = {422: 404 if "no commit" in exc.message else 400}.get(exc.status, exc.status)
            self._json(status, {"message": exc.message})

    def _content(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _who(self) -> tuple[str, World]:
        """The login, and the world that it is of: one server has several, of which accounts know one."""
        said = self.headers.get("authorization", "")
        if said.startswith("Basic "):
            said = b64decode(said[6:]).decode().partition(":")[2]
        token = self.headers.get("private-token") or said.removeprefix("Bearer ")
        login, _, repository = token.removeprefix(TOKEN).partition(":")
        if not token.startswith(TOKEN) or repository.lower() not in self.worlds:
            raise RefusedError(401, "401 Unauthorized")
        return login, self.worlds[repository.lower()]

    def _operation(self, path: str, query: dict[str, list[str]], content: bytes) -> None:
        for (method, template), pattern in _PATHS.items():
            found = pattern.fullmatch(path) if method == self.command else None
            if found:
                words = {name: unquote(word) for name, word in found.groupdict().items()}
                login, world = self._who()
                # GitLab takes what is sent either way.
                body = {name: said[0] for name, said in query.items()} | json.loads(content or b"{}")
                ask = Ask(world, login, words, query, body)
                ask.world.seen.append((method, template))
                with ask.hub.session.host.lock:
                    ask.hub.merges.under("-")  # what came by a push is noticed
                    if template.startswith("/projects/{id}"):
                        _ = ask.project
                    answer = self._answered((method, template), ask)
                self._send(method, answer, query)
                return
        raise RefusedError(404, "404 Not Found")

    def _answered(self, asked: description.Operation, ask: Ask) -> Any:
        """What GitLab's own description does not know of it is kept."""
        try:
            answer = OPERATIONS[asked](ask)
        except RefusedError as exc:
            self._compare(asked, ask, exc.status, exc.message)
            raise
        self._compare(asked, ask, status_of(asked[0], answer), answer)
        return answer

    def _compare(self, asked: description.Operation, ask: Ask, status: int, answer: Any) -> None:
        if description.is_there():
            self.differences.update(description.differences(asked, ask.path, ask.body, status, answer))

    def _send(self, method: str, answer: Any, query: dict[str, list[str]]) -> None:
        if isinstance(answer, bytes):
            self._write(200, answer, {"Content-Type": "application/octet-stream"})
        elif isinstance(answer, list):
            page, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["20"])[0])
            more = {k: v[0] for k, v in query.items()} | {"page": str(page + 1)}
            link = f'<http://elsewhere.example/?{urlencode(more)}>; rel="next"' if len(answer) > page * size else ""
            counts = {"X-Page": str(page), "X-Per-Page": str(size), "X-Total": str(len(answer))}
            self._json(200, answer[(page - 1) * size : page * size], {**counts, **({"Link": link} if link else {})})
        else:
            self._json(status_of(method, answer), answer)

    def _json(self, status: int, answer: Any, headers: Mapping[str, str] | None = None) -> None:
        content = b"" if answer is None else json.dumps(answer).encode()
        self._write(status, content, {"Content-Type": "application/json", **(headers or {})})

    def _write(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _graphql(self, asked: dict[str, Any]) -> dict[str, Any]:
        login, world = self._who()
        hub = world.forge.as_(login)
        found = hub.session.host.history().find(asked["variables"]["ref"])
        who = hub.session.host.state.whose(found.author[1]) if found else None
        author = {"id": f"gid://gitlab/User/{who.id}", "username": who.login} if who else None
        told = {"authorEmail": found.author[1], "author": author} if found else None
        return {"data": {"project": {"repository": {"commit": told}}}}

    def _git(self, path: str, query: str, content: bytes) -> None:
        found = _GIT.fullmatch(path)
        world = self.worlds.get(found["repository"].lower()) if found else None
        if found is None or world is None:
            self._write(404, b"", {})
            return
        login, is_push = "", "receive-pack" in path + query
        try:
            login, _ = self._who()
        except RefusedError:
            if is_push:
                self._write(401, b"", {"WWW-Authenticate": 'Basic realm="GitLab"'})
                return
        if is_push and not world.forge.as_(login).session.may("write"):
            self._write(403, b"You are not allowed to push code to this project.\n", {})
            return
        for number in world.forge.as_("ada").session.host.state.pulls:
            head = (world.forge.remote / f"refs/pull/{number}/head").read_bytes()
            write_file(world.forge.remote / f"refs/merge-requests/{number}/head", head)
        self._backend(world, found["service"], query, content)
        if is_push:
            world.forge.notice(login)

    def _backend(self, world: World, service: str, query: str, content: bytes) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(world.forge.remote),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{service}",
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(content)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            "REMOTE_USER": "somebody",
        }
        done = subprocess.run(["git", "http-backend"], input=content, env=env, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self._write(int(headers.pop("Status", "200").split()[0]), body, headers)
