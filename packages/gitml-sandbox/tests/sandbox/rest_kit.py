"""A REST client for the tests that checks every answer against GitHub's description."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import httpx

from gitml_sandbox.forge.repos import Repo
from sandbox import description
from sandbox.forge_kit import Kit


@dataclass(frozen=True)
class Api:
    """Calls as one person about one repository; ``seen`` collects the operations that were judged."""

    http: httpx.Client
    headers: dict[str, str]
    repo: str
    seen: set[tuple[str, str]]

    def call(self, method: str, path: str, *, expect: int | None = None, **how: Any) -> httpx.Response:
        """``path`` is under the repository, or absolute with a leading slash."""
        url = path if path.startswith("/") else f"/repos/{self.repo}/{path}".rstrip("/")
        headers = {**self.headers, **how.pop("headers", {})}
        response = self.http.request(method, f"/api/v3{url}", headers=headers, **how)
        description.check(response)
        self.seen.add((method, description.template(method, httpx.URL(f"http://x{url}").path)))
        if expect is not None:
            assert response.status_code == expect, f"{method} {url} -> {response.status_code}: {response.text[:600]}"
        return response

    def get(self, path: str, /, **query: Any) -> Any:
        return self.call("GET", path, expect=200, params=query).json()

    def post(self, path: str, /, expect: int = 201, **body: Any) -> Any:
        return self.call("POST", path, expect=expect, json=body).json()

    def put(self, path: str, /, expect: int = 200, **body: Any) -> Any:
        response = self.call("PUT", path, expect=expect, json=body)
        return response.json() if response.content else None

    def patch(self, path: str, /, expect: int = 200, **body: Any) -> Any:
        return self.call("PATCH", path, expect=expect, json=body).json()

    def delete(self, path: str, expect: int = 204) -> Any:
        response = self.call("DELETE", path, expect=expect)
        return response.json() if response.content else None

    def write(self, path: str, text: str, branch: str | None = None, sha: str | None = None) -> str:
        """Commit a file and return the commit."""
        body: dict[str, Any] = {"message": f"write {path}", "content": b64encode(text.encode()).decode()}
        body |= {k: v for k, v in {"branch": branch, "sha": sha}.items() if v}
        done = self.call("PUT", f"contents/{path}", json=body)
        assert done.status_code in (200, 201), done.text
        return str(done.json()["commit"]["sha"])

    def tip(self, branch: str) -> str:
        return str(self.get(f"git/ref/heads/{branch}")["object"]["sha"])

    def branch(self, name: str, base: str = "main") -> None:
        self.post("git/refs", ref=f"refs/heads/{name}", sha=self.tip(base))

    def pull(self, branch: str = "feature", text: str = "new\n", **more: Any) -> Any:
        """A branch with one change and a pull request for it, as GET shows it."""
        self.branch(branch)
        self.write(f"{branch}.txt", text, branch)
        made = self.post("pulls", title=f"About {branch}", head=branch, base="main", **more)
        return self.get(f"pulls/{made['number']}")

    def review(self, number: int, event: str = "APPROVE", expect: int = 200, **more: Any) -> Any:
        body = {"body": "because", **more}
        return self.post(f"pulls/{number}/reviews", expect=expect, event=event, **body)

    def status(self, sha: str, context: str = "ci", state: str = "success", expect: int = 201) -> Any:
        return self.post(f"statuses/{sha}", expect=expect, context=context, state=state)

    def merge(self, number: int, expect: int = 200, **body: Any) -> Any:
        return self.put(f"pulls/{number}/merge", expect=expect, **body)

    def protect(self, branch: str = "main", **changes: Any) -> Any:
        reviews = {"required_approving_review_count": 1}
        rule = {
            "required_status_checks": None,
            "enforce_admins": True,
            "required_pull_request_reviews": reviews,
            "restrictions": None,
        }
        return self.put(f"branches/{branch}/protection", **{**rule, **changes})


_CLIENTS: dict[str, httpx.Client] = {}


def client(url: str) -> httpx.Client:
    """One pool of connections to each sandbox for all tests; ``close_clients`` ends it."""
    if url not in _CLIENTS:
        _CLIENTS[url] = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(keepalive_expiry=5))
    return _CLIENTS[url]


def close_clients(url: str) -> None:
    if url in _CLIENTS:
        _CLIENTS.pop(url).close()


def api(kit: Kit, repo: Repo | str, login: str | None, seen: set[tuple[str, str]] | None = None) -> Api:
    """A client with the token of ``login`` (or with a raw token, or with none)."""
    secret = kit.token.get(login, login) if login else None
    headers = {"Authorization": f"token {secret}"} if secret else {}
    name = repo if isinstance(repo, str) else repo.full_name
    return Api(client(kit.url), headers, name, set() if seen is None else seen)


def seeded(kit: Kit, **how: Any) -> tuple[Repo, Api, Api, Api]:
    """A repository with one commit; clients of ada (its owner), olga and rita (who may write)."""
    repo = kit.repo(**how)
    ada = api(kit, repo, "ada")
    ada.write("README.md", "# hello\n")
    return repo, ada, api(kit, repo, "olga"), api(kit, repo, "rita")
