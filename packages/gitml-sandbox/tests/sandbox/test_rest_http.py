"""What HTTP itself promises: who may, paging, caching, limits, and nonsense answered politely."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gitml_sandbox.forge import tokens, users
from gitml_sandbox.rest import operations as rest
from gitml_sandbox.rest.serve import Limiter
from sandbox.forge_kit import Kit
from sandbox.rest_kit import Api, api, seeded


def minted(kit: Kit, repo: int | None, login: str = "ada", kind: str = "job", **permissions: str) -> str:
    with kit.sandbox.store.write() as tx:
        who = users.get(tx, login)
        return tokens.mint(tx, user_id=who.id, kind=kind, repo_id=repo, permissions=permissions)


def test_private_is_hidden_from_strangers(kit: Kit) -> None:
    repo, ada, _, _ = seeded(kit, private=True)
    for login in ("eve", None):
        stranger = api(kit, repo, login)
        for path in ("", "pulls", "branches/main", "contents/README.md", "commits/main/status"):
            assert stranger.call("GET", path, expect=404).json()["message"] == "Not Found"
        stranger.call("PUT", "contents/x", expect=404, json={"message": "m", "content": ""})
        stranger.call("POST", "issues", expect=404, json={"title": "x"})
    assert repo.full_name not in [r["full_name"] for r in api(kit, repo, "eve").get("/user/repos", per_page=100)]
    assert ada.get("")["visibility"] == "private"


def test_tokens_that_are_wrong_revoked_or_expired(kit: Kit) -> None:
    repo, _, _, _ = seeded(kit)
    with kit.sandbox.store.write() as tx:
        who = users.get(tx, "ada")
        gone = tokens.mint(tx, user_id=who.id, kind="user")
        tokens.revoke(tx, gone)
        old = tokens.mint(tx, user_id=who.id, kind="user", expires_at="2020-01-01T00:00:00Z")
    for secret in ("ghp_nonsense", gone, old):
        said = api(kit, repo, secret).call("GET", "", expect=401).json()
        assert said["message"] == "Bad credentials"
    basic = httpx.get(f"{kit.url}/api/v3/user", auth=("anybody", kit.token["olga"]))
    assert basic.json()["login"] == "olga"
    api(kit, repo, None).call("GET", "/user", expect=401)


OPERATIONS: list[tuple[str, str, str, Any]] = [
    ("contents", "PUT", "contents/x.txt", {"message": "m", "content": ""}),
    ("contents", "POST", "git/refs", {"ref": "refs/heads/x", "sha": "HEAD"}),
    ("pull-requests", "POST", "pulls/1/reviews", {"event": "COMMENT", "body": "x"}),
    ("issues", "POST", "issues", {"title": "x"}),
    ("statuses", "POST", "statuses/HEAD", {"state": "success"}),
    ("checks", "POST", "check-runs", {"name": "x", "head_sha": "HEAD"}),
    ("deployments", "POST", "deployments", {"ref": "main", "required_contexts": []}),
]


@pytest.mark.parametrize(("permission", "method", "path", "body"), OPERATIONS, ids=[o[2] for o in OPERATIONS])
def test_a_job_token_does_what_its_permissions_say(
    kit: Kit, permission: str, method: str, path: str, body: Any
) -> None:
    repo, ada, _, _ = seeded(kit)
    pull = ada.pull()
    head = pull["head"]["sha"]
    body = {k: head if v == "HEAD" else v for k, v in body.items()}
    path = path.replace("HEAD", head).replace("pulls/1", f"pulls/{pull['number']}")
    other = "actions" if permission != "actions" else "issues"
    for limits in ({permission: "read"}, {other: "write"}, {}):
        weak = api(kit, repo, minted(kit, repo.id, "gitml-bot[bot]", **limits))
        said = weak.call(method, path, expect=403, json=body).json()["message"]
        assert said == "Resource not accessible by integration"
    strong = api(kit, repo, minted(kit, repo.id, "gitml-bot[bot]", **{permission: "write"}))
    assert strong.call(method, path, json=body).status_code in (200, 201)
    # The same token elsewhere: a public repository is read as a stranger reads it, nothing else.
    elsewhere, _, _, _ = seeded(kit)
    strange = Api(strong.http, strong.headers, elsewhere.full_name, set())
    strange.call(method, path, expect=403, json=body)
    hidden, _, _, _ = seeded(kit, private=True)
    Api(strong.http, strong.headers, hidden.full_name, set()).call("GET", "", expect=404)


def test_a_job_speaks_on_pull_requests_with_either_permission(kit: Kit) -> None:
    repo, ada, _, _ = seeded(kit)
    pull, issue = ada.pull()["number"], ada.post("issues", title="x")["number"]
    job = api(kit, repo, minted(kit, repo.id, "gitml-bot[bot]", **{"pull-requests": "write"}))
    made = job.post(f"issues/{pull}/comments", body="report")
    assert job.patch(f"issues/comments/{made['id']}", body="newer")["body"] == "newer"
    assert job.post(f"issues/{pull}/labels", expect=200, labels=["gitml"])[0]["name"] == "gitml"
    job.call("POST", f"issues/{issue}/comments", expect=403, json={"body": "x"})
    job.call("POST", f"issues/{issue}/labels", expect=403, json={"labels": ["x"]})
    job.call("POST", "issues", expect=403, json={"title": "x"})
    other = api(kit, repo, minted(kit, repo.id, "gitml-bot[bot]", issues="write"))
    other.post(f"issues/{pull}/comments", body="report")
    other.post(f"issues/{issue}/comments", body="report")
    hidden, theirs, _, _ = seeded(kit, private=True)
    number = theirs.post("issues", title="x")["number"]
    weak = api(kit, hidden, minted(kit, hidden.id, "gitml-bot[bot]", **{"pull-requests": "read"}))
    weak.call("GET", f"issues/{number}", expect=403)


def test_a_read_only_token_of_a_person(kit: Kit) -> None:
    repo, _, _, _ = seeded(kit)
    reader = api(kit, repo, minted(kit, None, "ada", "user", contents="read", issues="read"))
    assert reader.get("contents/README.md")["name"] == "README.md"
    said = reader.call("PUT", "contents/x", expect=403, json={"message": "m", "content": ""}).json()
    assert said["message"] == "Resource not accessible by personal access token"
    reader.call("PUT", "branches/main/protection", expect=403, json={})


def test_a_job_opens_pull_requests_only_where_that_is_allowed(kit: Kit) -> None:
    from gitml_sandbox.forge import repos

    repo, ada, _, _ = seeded(kit)
    ada.branch("topic")
    ada.write("x.txt", "x", "topic")
    job = api(kit, repo, minted(kit, repo.id, "gitml-bot[bot]", **{"pull-requests": "write", "contents": "write"}))
    body = {"title": "t", "head": "topic", "base": "main"}
    assert "not permitted" in job.call("POST", "pulls", expect=403, json=body).json()["message"]
    with kit.sandbox.store.write() as tx:
        repos.set_settings(tx, repo, {"can_approve_pull_request_reviews": True})
    job.call("POST", "pulls", expect=201, json=body)


def test_pages(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    for number in range(7):
        ada.post("issues", title=f"issue {number}")
    first = ada.call("GET", "issues", params={"per_page": 3, "state": "all"})
    links = {rel: httpx.URL(link["url"]) for rel, link in first.links.items()}
    assert set(links) == {"next", "last"}
    assert links["last"].params["page"] == "3"
    assert links["next"].params["state"] == "all"
    seen, url = [], "issues?per_page=3"
    while url:
        response = ada.call("GET", url)
        seen += [i["title"] for i in response.json()]
        found = response.links.get("next")
        url = f"issues?{httpx.URL(found['url']).query.decode()}" if found else ""
    assert seen == [f"issue {n}" for n in range(6, -1, -1)]
    assert len(ada.get("issues", per_page=1000)) == 7
    assert ada.get("issues", per_page=3, page=99) == []
    assert len(ada.get("issues", per_page="x", page="-1")) == 7


def test_etag(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    first = ada.call("GET", "issues")
    same = ada.call("GET", "issues", headers={"If-None-Match": first.headers["etag"]})
    assert same.status_code == 304
    ada.post("issues", title="new")
    assert ada.call("GET", "issues", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize("raw", [b"{", b"not json", b'{"title": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_malformed_json(kit: Kit, raw: bytes) -> None:
    _, ada, _, _ = seeded(kit)
    said = ada.call("POST", "issues", expect=400, content=raw).json()
    assert said["message"] == "Problems parsing JSON"


BAD: list[tuple[str, str, Any, str]] = [
    ("POST", "issues", {}, "title"),
    ("POST", "issues", {"title": "x", "body": 5}, "body"),
    ("POST", "issues", {"title": " "}, "title"),
    ("POST", "issues", {"title": "x", "body": "x" * 65537}, "body"),
    ("POST", "issues", {"title": "x", "labels": [{"colour": "red"}]}, "name"),
    ("POST", "pulls", {"title": "x", "head": "main", "base": "nowhere"}, "base"),
    ("POST", "pulls", {"title": "x", "head": "nowhere", "base": "main"}, "head"),
    ("POST", "pulls", {"title": "x", "head": "main", "base": "main"}, "head"),
    ("POST", "pulls", {"title": "x", "head": "eve:main", "base": "main"}, "head"),
    ("PUT", "contents/x", {"message": "m", "content": "", "author": {"name": "a\nb", "email": "e"}}, "author"),
    ("PUT", "contents/.git/config", {"message": "m", "content": ""}, "path"),
    ("PUT", "contents/a/../../x", {"message": "m", "content": ""}, ""),
    ("PUT", "branches/main/protection", {"enforce_admins": True}, "required_status_checks"),
    ("POST", "labels", {"name": "x", "color": "red"}, "color"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), BAD)
def test_what_does_not_fit(kit: Kit, method: str, path: str, body: Any, field: str) -> None:
    _, ada, _, _ = seeded(kit)
    if ".." in path:
        # The client would tidy the dots away: they go out encoded.
        path = path.replace("..", "%2e%2e")
        assert (
            ada.http.request(method, f"/api/v3/repos/{ada.repo}/{path}", json=body, headers=ada.headers).status_code
            >= 400
        )
        return
    said = ada.call(method, path, expect=422, json=body).json()
    assert field in [e["field"] for e in said["errors"]]
    assert ada.tip("main") == ada.get("commits")[0]["sha"]


@pytest.mark.parametrize("name", ["../x", "..", "a/b", ".git", "x.git", "-x", "a b", "x" * 101, "", "a\0b", "é"])
def test_names_that_are_no_repositories(kit: Kit, name: str) -> None:
    ada = api(kit, "ada/x", "ada")
    ada.call("POST", "/user/repos", expect=422, json={"name": name})
    assert not (kit.sandbox.repositories.parent / "x").exists()


def test_odd_paths(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    for path in (
        "pulls/abc",
        "pulls/99999999999999999999",
        "pulls/-1",
        "issues/0",
        "git/ref/heads/%00",
        "contents/%2e%2e/x",
    ):
        assert ada.call("GET", path).status_code == 404, path
    for path in ("commits/--output=x", "commits/main~1", "commits/HEAD:README.md", "commits/%0a"):
        assert ada.call("GET", path).status_code == 422, path
    assert ada.http.get("/api/v3/nothing", headers=ada.headers).json()["message"] == "Not Found"


def test_requests_are_counted_per_caller_and_none_is_refused(kit: Kit) -> None:
    transport = httpx.ASGITransport(Starlette(routes=rest.routes(kit.sandbox, Limiter(limit=2))))
    own = {"Authorization": f"Bearer {kit.token['ada']}"}

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            strange = [await http.get("/api/v3/users/ada") for _ in range(3)]
            return [*strange, await http.get("/api/v3/users/ada", headers=own)]

    first, second, third, known = asyncio.run(ask())
    assert [r.headers["x-ratelimit-remaining"] for r in (first, second, third)] == ["1", "0", "0"]
    assert third.status_code == 200
    assert known.headers["x-ratelimit-remaining"] == "1"


def test_head_and_escapes(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    assert ada.http.head(f"/api/v3/repos/{ada.repo}", headers=ada.headers).status_code == 200
    ada.post("issues", title="<script>\u2028", body="\U0001f600 emoji")
    assert ada.get("issues")[0]["title"] == "<script>\u2028"
    lone = json.dumps({"title": "\ud800 alone"}).encode()
    assert ada.call("POST", "issues", expect=400, content=lone).json()["message"] == "Problems parsing JSON"


def test_the_api_speaks_of_itself(kit: Kit) -> None:
    """`gh auth status` asks the root with the token, and takes 404 for a token that is none."""
    seeded(kit)
    here = {"Authorization": f"Bearer {kit.token['ada']}"}
    root = httpx.get(f"{kit.url}/api/v3/", headers=here)
    assert (root.status_code, root.json()["current_user_url"]) == (200, f"{kit.url}/api/v3/user")
    assert "repo" in root.headers["x-oauth-scopes"]
    assert httpx.get(f"{kit.url}/api/v3/", headers={"Authorization": "Bearer ghp_nonsense"}).status_code == 401
    plain = [url for url in root.json().values() if "{" not in url]
    assert [httpx.get(url, headers=here).status_code for url in plain] == [200] * len(plain)
    limits = httpx.get(root.json()["rate_limit_url"], headers=here).json()
    assert limits["rate"] == limits["resources"]["core"]
    assert limits["rate"]["remaining"] > 0
    assert httpx.get(f"{kit.url}/api/v3/meta").json()["installed_version"]
