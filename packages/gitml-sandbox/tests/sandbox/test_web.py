"""Login, sessions, forms from elsewhere, what is private, headers; and that every page is there."""

from __future__ import annotations

import doctest
import importlib
import re
import ssl
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gitml_sandbox.forge import tokens, users
from gitml_sandbox.server.serve import Options, serving
from gitml_sandbox.web import sessions as web_sessions
from sandbox.forge_kit import Kit, commit, git, people
from sandbox.web_kit import Browser, browser, check_accessible, png, pull

LOGIN = {"login": "ada", "password": "ada password"}


@pytest.mark.parametrize("name", ["words", "guard", "diff"])
def test_examples_in_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"gitml_sandbox.web.{name}"))
    assert found.failed == 0
    assert found.attempted > 0


def test_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(kit: Kit) -> None:
    me = browser(kit)
    answer = me.login("ada")
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    secret = cookie.partition("=")[2].partition(";")[0]
    assert "Log out" in me.get("/")
    with kit.sandbox.store.read() as tx:
        stored = [row["digest"] for row in tx.execute("SELECT digest FROM web_sessions")]
    assert web_sessions.digest(secret) in stored
    assert secret not in stored


def test_logout_ends_the_session_for_good(kit: Kit) -> None:
    me = browser(kit, "ada")
    kept = dict(me.client.cookies)
    assert me.post("/", {}, to="/logout").status_code == 303
    me.client.cookies.update(kept)
    assert "Log out" not in me.get("/")


@pytest.mark.parametrize(("login", "password"), [("ada", "wrong"), ("nobody", "ada password"), ("", ""), ("ada", "")])
def test_wrong_passwords_tell_nothing(kit: Kit, login: str, password: str) -> None:
    answer = browser(kit).post("/login", {"login": login, "password": password})
    assert answer.status_code == 403
    assert "There is no user with this name and password." in answer.text
    assert "session" not in answer.headers.get("set-cookie", "")


def test_a_bot_has_no_password(kit: Kit) -> None:
    assert browser(kit).post("/login", {"login": "gitml-bot[bot]", "password": ""}).status_code == 403


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_login_leads_nowhere_else(kit: Kit, there: str) -> None:
    me = browser(kit)
    assert 'name="next" value="/"' in me.client.get("/login", params={"next": there}).text
    assert me.post("/login", {**LOGIN, "next": there}).headers["location"] == "/"


def test_a_page_for_members_sends_to_the_login_and_back(kit: Kit, tmp_path: Path) -> None:
    repo, _ = kit.seeded(tmp_path / "a")
    answer = browser(kit).client.get(f"/{repo.full_name}/actions/artifacts/1")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=%2Fada%2F")


def test_a_session_expires_and_ends_with_a_new_password(kit: Kit) -> None:
    now = kit.sandbox.clock()
    with kit.sandbox.store.write() as tx:
        who = users.add(tx, "temp", password="one")
        secret = web_sessions.begin(tx, who, now)
        life = web_sessions.LIFE
        assert web_sessions.find(tx, secret, now + life - timedelta(seconds=1)) == who
        assert web_sessions.find(tx, secret, now + life) is None
        users.set_password(tx, who.id, "two")
        assert web_sessions.find(tx, secret, now) is None


def _act(kit: Kit, tmp_path: Path) -> tuple[str, Browser]:
    repo, clone = kit.seeded(tmp_path / "a")
    return f"/{repo.full_name}/pull/{pull(kit, repo, clone)}", browser(kit, "olga")


def test_forms_of_other_sites_do_nothing(kit: Kit, tmp_path: Path) -> None:
    page, me = _act(kit, tmp_path)
    token = re.search('name="csrf" value="([0-9a-f]+)"', me.get(page))
    assert token
    form = {"do": "comment", "body": "hello", "csrf": token[1]}
    other_port = re.sub(r"\d+$", "1", kit.url)
    for origin in ("https://evil.example", "null", other_port):
        assert me.send(page, form, origin).status_code == 403
    assert me.client.post(page, data=form).status_code == 403
    for wrong in ("", "0" * 64, "é"):
        assert me.send(page, {**form, "csrf": wrong}).status_code == 403
    assert "hello" not in me.get(page)
    assert me.send(page, form).status_code == 303
    assert "hello" in me.get(page)


def test_the_token_of_another_session_is_of_no_use(kit: Kit, tmp_path: Path) -> None:
    page, me = _act(kit, tmp_path)
    token = re.search('name="csrf" value="([0-9a-f]+)"', browser(kit, "rita").get(page))
    assert token
    assert me.send(page, {"do": "close", "csrf": token[1]}).status_code == 403


def test_login_and_logout_are_forms_of_ours_too(kit: Kit) -> None:
    me = browser(kit)
    assert me.send("/login", LOGIN).status_code == 403
    me.get("/login")
    assert me.send("/login", LOGIN, "https://evil.example").status_code == 403
    me.login("ada")
    assert me.send("/logout", {}).status_code == 403
    assert "Log out" in me.get("/")


def test_a_token_of_the_api_changes_nothing_here(kit: Kit, tmp_path: Path) -> None:
    page, _ = _act(kit, tmp_path)
    headers = {"Origin": kit.url, "Authorization": f"Bearer {kit.token['olga']}"}
    answer = httpx.post(f"{kit.url}{page}", data={"do": "close"}, headers=headers)
    assert answer.status_code == 401


def test_large_and_broken_forms(kit: Kit, tmp_path: Path) -> None:
    page, me = _act(kit, tmp_path)
    assert me.send(page, {"body": "x" * (2 << 20)}).status_code == 413
    raw = me.client.post(page, content=b"body=%ff" + b"&a=1" * 200, headers={"Origin": kit.url})
    assert raw.status_code == 400
    assert me.post(page, {"do": "format the disk"}).status_code == 400


PAGES = (
    *(
        "",
        "/tree/main",
        "/blob/main/README.md",
        "/raw/main/README.md",
        "/branches",
        "/commits",
        "/commits/main/README.md",
    ),
    *("/pulls", "/pulls?state=closed", "/pull/1", "/pull/1/commits", "/pull/1/files", "/pull/1/checks", "/compare"),
    *("/compare?base=main&head=work", "/actions", "/settings", "/deployments"),
)


def test_every_page_of_a_repository(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    pull(kit, repo, clone, body="| a |\n|---|\n| 1 |")
    for login in (None, "ada", "eve"):
        me = browser(kit, login)
        for page in PAGES:
            text = me.get(f"/{repo.full_name}{page}")
            if not page.startswith("/raw"):
                check_accessible(text)


def test_what_is_private_is_not_there(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a", private=True)
    pull(kit, repo, clone)
    for login in (None, "eve"):
        me = browser(kit, login)
        for page in PAGES:
            answer = me.client.get(f"/{repo.full_name}{page}")
            nothing = me.client.get(f"/ada/no-such-thing{page}")
            assert answer.status_code == 404
            assert answer.text.replace(repo.name, "NAME") == nothing.text.replace("no-such-thing", "NAME")
        assert repo.name not in me.get("/")
        assert me.send(f"/{repo.full_name}/pull/1", {"do": "comment", "body": "x"}).status_code == 404
    olga = browser(kit, "olga")
    for page in PAGES:
        olga.get(f"/{repo.full_name}{page}")


def test_raw_files_by_token(kit: Kit, tmp_path: Path) -> None:
    repo, _ = kit.seeded(tmp_path / "a", private=True)
    url = f"{kit.url}/{repo.full_name}/raw/main/README.md"
    for login, status in (("olga", 200), ("eve", 404)):
        assert httpx.get(url, headers={"Authorization": f"Bearer {kit.token[login]}"}).status_code == status
    assert httpx.get(url, headers={"Authorization": "Bearer ghp_wrong"}).status_code == 401
    page = f"{kit.url}/{repo.full_name}"
    assert httpx.get(page, headers={"Authorization": f"Bearer {kit.token['olga']}"}).status_code == 404


@pytest.mark.parametrize(("permissions", "status"), [({"contents": "read"}, 200), ({"statuses": "write"}, 403)])
def test_a_limited_token_reads_what_it_may(kit: Kit, tmp_path: Path, permissions: dict[str, str], status: int) -> None:
    repo, _ = kit.seeded(tmp_path / "a", private=True)
    other, _ = kit.seeded(tmp_path / "b", private=True)
    with kit.sandbox.store.write() as tx:
        who = users.get(tx, "ada").id
        token = tokens.mint(tx, user_id=who, kind="app", repo_id=repo.id, permissions=permissions)
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{kit.url}/{repo.full_name}/raw/main/README.md", headers=headers).status_code == status
    assert httpx.get(f"{kit.url}/{other.full_name}/raw/main/README.md", headers=headers).status_code == 404


def test_over_tls_the_cookie_is_for_this_host_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "state", Options(port=0, runner=False, tls=True)) as running:
        people(running.sandbox)
        trust = ssl.create_default_context(cafile=running.address.ca)
        with httpx.Client(base_url=running.address.url, verify=trust) as client:
            me = Browser(client, running.address.url)
            cookie = me.login("ada").headers["set-cookie"]
            assert cookie.startswith("__Host-gitml_session_")
            assert "; Secure" in cookie
            assert "Log out" in me.get("/")


def test_headers_that_bind_the_browser(kit: Kit) -> None:
    answer = browser(kit).client.get("/")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == policy["img-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "no-cache" in answer.headers["cache-control"]


def test_raw_files_cannot_run_here(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    commit(clone, "evil.html", "<script>alert(1)</script>")
    commit(clone, "evil.svg", '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    (clone / "ok.png").write_bytes(png(2, 2, lambda x, y: (x, y, 0)))
    (clone / "data.bin").write_bytes(bytes(range(256)))
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "more")
    git(clone, "push", "-q", "origin", "HEAD:main")
    me = browser(kit)
    kinds = {}
    for name in ("evil.html", "evil.svg", "ok.png", "data.bin"):
        answer = me.client.get(f"/{repo.full_name}/raw/main/{name}")
        kinds[name] = answer.headers["content-type"].partition(";")[0]
        assert "sandbox" in answer.headers["content-security-policy"].split("; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert kinds == {
        "evil.html": "text/plain",
        "evil.svg": "image/svg+xml",
        "ok.png": "image/png",
        "data.bin": "application/octet-stream",
    }
    assert "This file is binary" in me.get(f"/{repo.full_name}/blob/main/data.bin")
    assert "<img src=" in me.get(f"/{repo.full_name}/blob/main/ok.png")


def test_addresses_that_are_none(kit: Kit) -> None:
    me = browser(kit)
    for path in ("/nothing", "/a/b/c/d", "/ada/..%2f..%2fetc", "/%00", "/static/../web.py"):
        answer = me.client.get(path)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
    assert me.client.get("/api/v3/nothing").headers["content-type"] == "application/json"
    assert me.send("/nothing", {}).status_code == 404


def test_people_say_which_addresses_are_theirs(kit: Kit, tmp_path: Path) -> None:
    page = "/settings/emails"
    repo, clone = kit.seeded(tmp_path / "clone")
    commit(clone, "x", "x", "By an address of Rita's")
    git(clone, "commit", "-q", "--amend", "--no-edit", "--author=Rita <rita@home.example>")
    git(clone, "push", "-q", "origin", "HEAD:main")
    me, other, history = browser(kit, "rita"), browser(kit, "olga"), f"/{repo.full_name}/commits/main"
    assert browser(kit).client.get(page).headers["location"].startswith("/login?next=")
    assert me.get(page).count("@users.noreply.localhost") == 1
    assert "/avatars/rita" not in other.get(history)
    assert me.post(page, {"add": "rita@home.example"}).headers["location"] == page
    check_accessible(me.get(page))
    assert "/avatars/rita" in other.get(history)
    for wrong in ("RITA@home.example", "<b>@x", "nobody"):
        again = other.post(page, {"add": wrong})
        assert again.status_code == 422
        assert 'role="alert"' in again.text
        assert "<b>@x" not in again.text
    assert me.send(page, {"remove": "rita@home.example"}).status_code == 403
    assert me.post(page, {"remove": "rita@home.example"}).status_code == 303
    assert "rita@home.example" not in me.get(page)
