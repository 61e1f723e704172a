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
from promotion.gating import gated
from sandbox.forge_kit import Kit

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


def test_days_of_kpis_come_from_the_command_that_may_read_them(app: Path) -> None:
    kpis = "kpis:\n  sales: {event: sale, unit: USD}\n"
    days = [
        {"day": "2026-03-01", "value": 3.5},
        {"day": "2026-03-02", "value": None},
        {"day": "2026-03-03", "value": 4},
    ]
    write(app, {"gitml.yaml": FILES["gitml.yaml"] + kpis, "kpis.json": json.dumps([{"name": "sales", "days": days}])})
    git(app, "commit", "-qam", "Sales")
    assert gitml(app, "site", "build", "--kpis", "kpis.json", "--out", "out").code == 0
    assert "2 points" in (app / "out/kpis.html").read_text()
    write(app, {"kpis.json": "{}"})
    done = gitml(app, "site", "build", "--kpis", "kpis.json", "--out", "out")
    assert (done.code, "is no list of KPIs" in done.err) == (2, True)


def test_the_command_says_what_is_wrong(app: Path) -> None:
    done = gitml(app, "site", "build", "--role", "rsk", "--out", "out")
    assert (done.code, "policy.yaml has no role rsk" in done.err, "risk" in done.err) == (2, True, True)
    write(app, {"out/mine.txt": "mine"})
    assert "is no site" in gitml(app, "site", "build", "--out", "out").err


@pytest.mark.slow
@pytest.mark.nightly
def test_with_a_forge_it_shows_what_waits(kit: Kit, tmp_path: Path) -> None:
    g = gated(kit, tmp_path)
    _, number = g.ready()
    g.judge(number)
    here = g.town.here
    git(here, "fetch", "-q", "origin")
    env = {
        "GITHUB_TOKEN": kit.token["olga"],
        "GITHUB_REPOSITORY": g.town.repo.full_name,
        "GITHUB_SERVER_URL": kit.url,
        "GITHUB_API_URL": f"{kit.url}/api/v3",
    }
    done = gitml(here, "site", "build", "--out", "out", env=env)
    assert done.code == 0, done.err
    page = (here / "out/approvals.html").read_text()
    assert f"#{number}</a> Promote delay@" in page
    assert "operations: one person approves the newest commit: olga" in page
    first = {path.relative_to(here / "out"): path.read_bytes() for path in (here / "out").rglob("*") if path.is_file()}
    again = gitml(here, "site", "build", "--out", "again", env=env)
    assert again.code == 0, again.err
    assert first == {p.relative_to(here / "again"): p.read_bytes() for p in (here / "again").rglob("*") if p.is_file()}
    away = gitml(here, "site", "build", "--out", "away", env={**env, "GITHUB_API_URL": "http://127.0.0.1:1/api/v3"})
    assert away.code == 0, away.err
    assert "The forge does not answer" in (here / "away/index.html").read_text()


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
