"""What no client gets past: bodies that are none, other hosts, another interface; and many pushes at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from gitml_sandbox.changes import refs
from gitml_sandbox.forge import repos
from gitml_sandbox.git import repository as gitrepo
from sandbox.forge_kit import Kit, commit, git

PUSH = "application/x-git-receive-pack-request"


@pytest.mark.parametrize("body", [b"", b"0000", b"zzzz", b"00ffx", b"0004", b"PACK" * 100])
def test_bodies_that_are_no_push(kit: Kit, body: bytes) -> None:
    repo = kit.repo()
    answer = httpx.post(
        f"{kit.url}/{repo.full_name}.git/git-receive-pack",
        content=body,
        headers={"Content-Type": PUSH},
        auth=("x", kit.token["ada"]),
    )
    assert answer.status_code < 600
    with kit.sandbox.store.read() as tx:
        assert refs.stored(tx, repo.id) == {}
    assert httpx.get(f"{kit.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("127.0.0.1:99", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("10.0.0.1", 421),
    ],
)
def test_only_names_of_this_machine(kit: Kit, host: str, expected: int) -> None:
    assert httpx.get(f"{kit.url}/healthz", headers={"Host": host}).status_code == expected


def test_headers_that_bind_browsers(kit: Kit) -> None:
    headers = httpx.get(f"{kit.url}/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_listens_on_loopback_only(kit: Kit) -> None:
    port = int(kit.url.rpartition(":")[2])
    heard = [
        c.laddr.ip for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port
    ]
    assert heard == ["127.0.0.1"]


@pytest.mark.slow
@pytest.mark.nightly
def test_more_pushes_at_once_than_threads(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    git(clone, "fetch", "-q")
    wanted = {}
    for number in range(20):
        git(clone, "checkout", "-q", "-b", f"b{number}", "origin/main")
        wanted[f"refs/heads/b{number}"] = commit(clone, f"f{number}", "x")
    gate = threading.Barrier(20)

    def push(ref: str) -> None:
        gate.wait(30)
        git(clone, "push", "-q", kit.remote(repo, "olga"), f"{wanted[ref]}:{ref}")

    with ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(push, ref) for ref in wanted]:
            done.result()
    real = {r: s for r, s in gitrepo.all_refs(repos.path(kit.sandbox, repo)).items() if r in wanted}
    assert real == wanted
    with kit.sandbox.store.read() as tx:
        assert {r: s for r, s in refs.stored(tx, repo.id).items() if r in wanted} == wanted
        assert tx.execute("SELECT count(*) FROM ref_journal").fetchone()[0] == 0
    assert sorted(r for r in kit.events(repo, "push") if r in wanted) == sorted(wanted)
