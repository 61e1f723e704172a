"""`gitml site`, as people call it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from conftest import git, gitml, write
from gitml.site.facts import SiteFacts
from gitml.site.serve import SiteServer
from gitml.spec.views import SiteView

FILES = {
    "gitml.yaml": "application: small\nmodels:\n  m: {artifact: m.onnx, metrics: m.json}\n",
    "policy.yaml": "roles:\n  risk: {people: [rita]}\nenvironments:\n  production: {}\n"
    "views:\n  risk: {pages: [inventory]}\n",
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    write(root, FILES)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Begin")
    return root


def test_a_site_for_each_role(app: Path) -> None:
    done = gitml(app, "site", "build", "--role", "risk", "--out", "out", "--json")
    assert done.code == 0, done.err
    (built,) = json.loads(done.out)
    assert (built["role"], built["pages"]) == ("risk", 2)
    assert sorted(path.name for path in (app / "out").glob("*.html")) == ["index.html", "inventory.html"]
    assert "no repository of a forge is named" in done.err


def test_the_command_says_what_is_wrong(app: Path) -> None:
    done = gitml(app, "site", "build", "--role", "rsk", "--out", "out")
    assert (done.code, "policy.yaml has no role rsk" in done.err, "risk" in done.err) == (2, True, True)
    write(app, {"out/mine.txt": "mine"})
    assert "is no site" in gitml(app, "site", "build", "--out", "out").err


@contextmanager
def served(facts: SiteFacts, view: SiteView) -> Iterator[str]:
    with SiteServer(lambda: facts, "", view, 0) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.url
        finally:
            server.stop()
            thread.join()


def test_the_server_shows_the_site_to_this_machine_alone(facts: SiteFacts) -> None:
    with served(facts, SiteView(pages=("changes",))) as url, httpx.Client(base_url=url) as client:
        first = client.get("/")
        assert (first.status_code, first.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "frame-ancestors 'none'" in first.headers["content-security-policy"]
        assert client.get("/site.css").headers["content-type"] == "text/css; charset=utf-8"
        assert client.get("/operations.html").status_code == 404
        assert client.get("/../../etc/passwd").status_code == 404
        assert client.get("/", headers={"Host": "evil.example:80"}).status_code == 421
        assert client.post("/").status_code == 501
        assert client.head("/").text == ""


def test_two_moments_are_compared(facts: SiteFacts) -> None:
    newest, oldest = facts.commits[0], facts.commits[-1]
    with served(facts, SiteView()) as url, httpx.Client(base_url=url) as client:
        everything = client.get("/changes/between", params={"since": "2026-01-01", "until": newest.time[:10]}).text
        assert newest.title in everything
        after = client.get("/changes/between", params={"since": newest.commit[:10]}).text
        assert "None." in after
        assert oldest.title in client.get("/changes/between", params={"until": oldest.commit}).text
    with served(facts, SiteView(pages=())) as url, httpx.Client(base_url=url) as client:
        assert client.get("/changes/between").status_code == 404
