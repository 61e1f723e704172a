import gzip
import json
import socket
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from gitml_sandbox.changes import refs
from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge import repos, tokens
from sandbox.forge_kit import Kit, commit, git


def test_push_clone_fetch(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    other = kit.clone(repo, tmp_path / "b", "olga")
    sha = commit(clone, "x.txt", "x")
    assert "remote:" not in git(clone, "push", "origin", "HEAD:main")
    git(other, "fetch", "-q")
    assert git(other, "rev-parse", "origin/main").strip() == sha
    assert kit.events(repo) == ["create", "push", "push"]
    with kit.sandbox.store.read() as tx:
        assert refs.stored(tx, repo.id) == {"refs/heads/main": sha}


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_who_may(kit: Kit, service: str) -> None:
    private, public = kit.repo(private=True), kit.repo()
    reads = service == "git-upload-pack"

    def status(repo: str, user: str | None) -> int:
        auth = ("x", kit.token.get(user, user)) if user else None
        url = f"{kit.url}/{repo}.git/info/refs?service={service}"
        return httpx.get(url, auth=auth).status_code

    assert [status(private.full_name, u) for u in ("ada", "olga", "eve", None)] == [200, 200, 404, 401]
    assert [status(public.full_name, u) for u in ("ada", "olga", "eve", None)] == [
        200,
        200,
        200 if reads else 403,
        200 if reads else 401,
    ]
    # Absent and forbidden look the same, to strangers and to users.
    assert [status("ada/none", u) for u in ("eve", None)] == [404, 401]
    # A wrong token is refused even where none is needed.
    assert status(public.full_name, "ghp_wrong") == 401
    assert status(public.full_name.upper(), "ada") == 200


def test_tokens_limit_their_user(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a", private=True)
    other = kit.repo(private=True)
    ada = kit.user("ada")
    with kit.sandbox.store.write() as tx:
        reading = tokens.mint(tx, user_id=ada.id, kind="user", permissions={"contents": "read"})
        elsewhere = tokens.mint(tx, user_id=ada.id, kind="job", repo_id=other.id, permissions={"contents": "write"})
        nothing = tokens.mint(tx, user_id=ada.id, kind="job", repo_id=repo.id, permissions={"issues": "write"})
        expired = tokens.mint(tx, user_id=ada.id, kind="user", expires_at="2001-01-01T00:00:00Z")
        revoked = tokens.mint(tx, user_id=ada.id, kind="user")
        tokens.revoke(tx, revoked)
    commit(clone, "y", "y")
    before = git(clone, "ls-remote", kit.remote(repo, "ada"), "refs/heads/main")
    said = git(clone, "push", kit.remote(repo, reading), "HEAD:main", ok=False)
    assert "denied to ada" in said
    assert "403" in said
    assert git(clone, "ls-remote", kit.remote(repo, reading), "refs/heads/main") == before
    for token in (elsewhere, nothing):
        assert "not found" in git(clone, "ls-remote", kit.remote(repo, token), ok=False)
    for token in (expired, revoked):
        assert "Authentication failed" in git(clone, "ls-remote", kit.remote(repo, token), ok=False)
    assert git(clone, "ls-remote", kit.remote(repo, "ada"), "refs/heads/main") == before


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/ada/../../sandbox.db",
        "/ada/..%2f..%2fsandbox.db/info/refs?service=git-upload-pack",
        "/ada/%2e%2e/info/refs?service=git-upload-pack",
        "/ada/..git/info/refs?service=git-upload-pack",
        "/%2e%2e/hooks/info/refs?service=git-upload-pack",
        "/ada/x%00y/info/refs?service=git-upload-pack",
        "/ada/--upload-pack=id/info/refs?service=git-upload-pack",
        "/ada/{repo}/HEAD",
        "/ada/{repo}.git/config",
        "/ada/{repo}.git/objects/info/packs",
        "/ada/{repo}.git/info/refs",
        "/ada/{repo}.git/info/refs?service=git-upload-archive",
    ],
)
def test_nothing_but_the_smart_protocol(kit: Kit, path: str) -> None:
    repo = kit.repo()
    raw = path.replace("{repo}", repo.name)
    with socket.create_connection(("127.0.0.1", int(kit.url.rpartition(":")[2])), timeout=10) as line:
        header = b64encode(f"x:{kit.token['ada']}".encode()).decode()
        head = f"Host: localhost\r\nAuthorization: Basic {header}\r\nConnection: close"
        line.sendall(f"GET {raw} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.split()[1] in (b"403", b"404"), answer
    assert b"[core]" not in answer
    assert b"SQLite" not in answer


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "../x", "a\\b", "a b", "x.git", "-rf", "ü", "a\nb", "a" * 101, "x.lock"]
)
def test_names_that_no_repository_may_have(kit: Kit, name: str) -> None:
    before = sorted(kit.sandbox.repositories.rglob("*.git"))
    with pytest.raises(UsageError):
        repos.create(kit.sandbox, kit.user("ada").id, name)
    assert sorted(kit.sandbox.repositories.rglob("*.git")) == before


def test_names_differ_by_more_than_case(kit: Kit) -> None:
    repo = kit.repo()
    with pytest.raises(UsageError, match="exists already"):
        repos.create(kit.sandbox, repo.owner_id, repo.name.upper())


def test_first_branch_becomes_the_default(kit: Kit, tmp_path: Path) -> None:
    repo = kit.repo()
    clone = kit.clone(repo, tmp_path / "a")
    commit(clone, "x", "x")
    git(clone, "push", "-q", "origin", "HEAD:trunk")
    with kit.sandbox.store.read() as tx:
        assert repos.by_id(tx, repo.id).default_branch == "trunk"
    git(tmp_path, "clone", "-q", kit.remote(repo), "b")
    assert git(tmp_path / "b", "branch", "--show-current").strip() == "trunk"


def test_compressed_body(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    kind = "application/x-git-upload-pack-request"
    answer = httpx.post(
        f"{kit.remote(repo)}/git-upload-pack",
        content=gzip.compress(b"0014command=ls-refs\n0000"),
        headers={"Content-Type": kind, "Content-Encoding": "gzip", "Git-Protocol": "version=2"},
    )
    assert answer.status_code == 200
    assert f"{git(clone, 'rev-parse', 'HEAD').strip()} refs/heads/main" in answer.text


def test_shallow_clone(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    commit(clone, "x", "x")
    git(clone, "push", "-q", "origin", "HEAD:main")
    git(tmp_path, "clone", "-q", "--depth=1", kit.remote(repo), "c")
    assert git(tmp_path / "c", "rev-list", "--count", "HEAD").strip() == "1"


def test_push_event_is_in_githubs_format(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    before = git(clone, "rev-parse", "HEAD").strip()
    (clone / "README.md").unlink()
    commit(clone, "dir/ü.txt", "x", "a\x01b\n\nbody \x02 text")
    git(clone, "rm", "-q", "README.md")
    git(clone, "commit", "-q", "-m", "second")
    git(clone, "push", "-q", "origin", "HEAD:main")
    with kit.sandbox.store.read() as tx:
        row = tx.execute("SELECT * FROM events WHERE repo_id = ? ORDER BY id DESC", (repo.id,)).fetchone()
    payload = json.loads(row["payload"])
    after = git(clone, "rev-parse", "HEAD").strip()
    assert (payload["before"], payload["after"], payload["ref"]) == (before, after, "refs/heads/main")
    assert (payload["created"], payload["deleted"], payload["forced"]) == (False, False, False)
    assert [c["message"] for c in payload["commits"]] == ["a\x01b\n\nbody \x02 text", "second"]
    assert [c["added"] for c in payload["commits"]] == [["dir/ü.txt"], []]
    assert payload["commits"][1]["removed"] == ["README.md"]
    assert payload["head_commit"]["id"] == after
    assert payload["repository"]["full_name"] == repo.full_name
    assert payload["sender"]["login"] == payload["pusher"]["name"] == "ada"
    assert (row["token_kind"], row["ref"], row["sha"]) == ("user", "refs/heads/main", after)
