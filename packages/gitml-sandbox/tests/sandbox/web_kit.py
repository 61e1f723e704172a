"""A browser without JavaScript for the pages, and a repository with something to look at."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx

from gitml_sandbox.forge import protections, users
from gitml_sandbox.forge.protections import Protection
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.web import sessions as web_sessions
from sandbox.forge_kit import Kit, commit, git
from sandbox.rest_kit import client

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass(frozen=True)
class Browser:
    """Cookies, forms with their tokens, and the origin that a browser sends. Redirects are not followed."""

    client: httpx.Client
    url: str

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code}\n{answer.text[:2000]}"
        return answer.text

    def post(self, page: str, form: Mapping[str, str], *, to: str | None = None) -> httpx.Response:
        """Fill in a form of a page and send it."""
        found = _CSRF.search(self.client.get(page).text)
        return self.send(to or page, {"csrf": found[1] if found else "", **form})

    def send(self, path: str, form: Mapping[str, str], origin: str | None = None) -> httpx.Response:
        return self.client.post(path, data=dict(form), headers={"Origin": origin or self.url})

    def login(self, login: str, password: str | None = None) -> httpx.Response:
        return self.post("/login", {"login": login, "password": password or f"{login} password"})


def browser(kit: Kit, login: str | None = None) -> Browser:
    # No connection is kept, so that none is left open when the test ends.
    limits = httpx.Limits(max_keepalive_connections=0)
    # No sandbox of these tests is asked by TLS, and to read whom to trust takes 10 ms.
    made = Browser(httpx.Client(base_url=kit.url, timeout=30, limits=limits, verify=False), kit.url)
    if login:
        # A password costs much of a core for a moment: only the tests of the login type one.
        with kit.sandbox.store.write() as tx:
            secret = web_sessions.begin(tx, users.get(tx, login), kit.sandbox.clock())
        made.client.cookies.set(f"gitml_session_{kit.url.rpartition(':')[2]}", secret)
    return made


def api(kit: Kit, login: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """One call of the REST API."""
    headers = {"Authorization": f"Bearer {kit.token[login]}"}
    answer = client(kit.url).request(method, f"/api/v3{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def png(width: int, height: int, at: Any) -> bytes:
    """A picture: ``at(x, y)`` gives red, green, blue."""
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in at(x, y)) for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def pull(kit: Kit, repo: Repo, clone: Path, *, branch: str = "work", body: str = "", by: str = "ada") -> int:
    """A branch with one commit, pushed, and a pull request for it; its number."""
    git(clone, "checkout", "-q", "-B", branch, "origin/main")
    commit(clone, f"{branch}.txt", "one\ntwo\nthree\n", f"Add {branch}")
    git(clone, "push", "-q", kit.remote(repo, by), f"HEAD:refs/heads/{branch}")
    new = {"title": f"Add {branch}", "head": branch, "base": "main", "body": body}
    return int(api(kit, by, "POST", f"/repos/{repo.full_name}/pulls", new, 201)["number"])


def protect(kit: Kit, repo: Repo, body: dict[str, Any], branch: str = "main") -> Protection:
    rule = protections.from_request(body)
    with kit.sandbox.store.write() as tx:
        protections.save(tx, repo.id, branch, rule)
    return rule


class Case:
    """A repository with one pull request by ada."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit = kit
        self.repo, self.clone = kit.seeded(folder)
        self.number = pull(kit, self.repo, self.clone, body="Please look.")
        self.home = f"/{self.repo.full_name}"
        self.page = f"{self.home}/pull/{self.number}"
        self.sha = self.head()

    def head(self) -> str:
        return git(self.clone, "rev-parse", "HEAD").strip()

    def api(self, login: str, method: str, path: str = "", body: Any = None, status: int = 200) -> Any:
        return api(self.kit, login, method, f"/repos/{self.repo.full_name}/pulls/{self.number}{path}", body, status)

    def push(self, text: str = "more\n") -> str:
        sha = commit(self.clone, "work.txt", text, "More work")
        git(self.clone, "push", "-q", "origin", "HEAD:work")
        return sha

    def review(self, who: Browser, event: str, body: str = "", sha: str = "") -> Any:
        form = {"do": "review", "event": event, "body": body, "commit_id": sha or self.sha}
        return who.post(self.page, form)

    def merge(self, who: Browser, **form: str) -> Any:
        return who.post(self.page, {"do": "merge", "sha": self.sha, "method": "merge", **form})


class Outline(HTMLParser):
    """Landmarks, labels and names of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self._in_label = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "label":
            self._in_label += 1
            self.labels.add(given.get("for") or "")
        if tag in ("input", "textarea", "select") and given.get("type") != "hidden" and not self._in_label:
            self.fields.append(given)
        if tag == "img":
            self.pictures.append(given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label -= 1


def check_accessible(text: str) -> None:
    """One main, one h1 or h2 at least, every field has a label, every picture a text, no id twice."""
    page = Outline()
    page.feed(text)
    assert page.tags.count("main") == 1
    assert {"header", "nav"} <= set(page.tags)
    assert 'href="#main"' in text
    assert '<html lang="en">' in text
    assert len(page.ids) == len(set(page.ids))
    assert [f for f in page.fields if f.get("id") not in page.labels] == []
    assert [p for p in page.pictures if "alt" not in p] == []
