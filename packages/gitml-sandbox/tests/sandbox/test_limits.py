"""Clients that send too much, too slowly, or from somewhere else, and many at once."""

import random
import shutil
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from gitml_sandbox.forge import repos
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import refs
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.http import Limits
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, commit, git, people

PUSH = "application/x-git-receive-pack-request"


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """A sandbox with small limits: 8 MiB, one second of silence, two pushes at once."""
    root = tmp_path_factory.mktemp("tight") / "state"
    limits = Limits(body=8 << 20, idle=1.0, pushes=2, uploads=20)
    with serving(root, Options(port=0, runner=False, limits=limits)) as running:
        yield Kit(running.sandbox, running.address.url, people(running.sandbox))


def dial(kit: Kit, repo: Repo, *headers: str, user: str = "ada") -> socket.socket:
    """A connection that has sent the head of a push."""
    line = socket.create_connection(("127.0.0.1", int(kit.url.rpartition(":")[2])), timeout=20)
    auth = b64encode(f"x:{kit.token[user]}".encode()).decode()
    head = [f"POST /{repo.full_name}.git/git-receive-pack HTTP/1.1", "Host: localhost", f"Content-Type: {PUSH}"]
    line.sendall("\r\n".join([*head, f"Authorization: Basic {auth}", *headers, "", ""]).encode())
    return line


def status(line: socket.socket) -> int:
    answer = line.recv(65536)
    line.close()
    return int(answer.split()[1])


def test_two_gigabytes_declared(kit: Kit) -> None:
    assert status(dial(kit, kit.repo(), f"Content-Length: {2 << 30}")) == 413


@pytest.mark.slow
def test_two_gigabytes_in_pieces(kit: Kit) -> None:
    repo = kit.repo()
    line = dial(kit, repo, "Transfer-Encoding: chunked")
    line.settimeout(60)
    megabyte = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    free, memory = shutil.disk_usage(kit.sandbox.root).free, psutil.Process().memory_info().rss
    sent = 0
    try:
        while sent < 2048:
            line.sendall(megabyte)
            sent += 1
    except OSError:
        pass  # the server has hung up
    assert sent <= 1024 + 32 + 16  # a little is read after the refusal, for the client to see it
    line.close()
    assert psutil.Process().memory_info().rss - memory < 100 << 20
    deadline = time.monotonic() + 10
    while shutil.disk_usage(kit.sandbox.root).free < free - (200 << 20) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert shutil.disk_usage(kit.sandbox.root).free > free - (200 << 20)
    assert httpx.get(f"{kit.url}/healthz").status_code == 200


def test_a_real_push_that_is_too_large(tight: Kit, tmp_path: Path) -> None:
    repo, clone = tight.seeded(tmp_path / "a")
    (clone / "big").write_bytes(random.Random(1).randbytes(9 << 20))
    git(clone, "add", "big")
    git(clone, "commit", "-q", "-m", "big")
    assert "413" in git(clone, "push", "origin", "HEAD:main", ok=False)
    assert len(tight.events(repo)) == 2


def test_slow_clients_hold_nobody_up(tight: Kit, tmp_path: Path) -> None:
    repo, clone = tight.seeded(tmp_path / "a")
    slow = [dial(tight, repo, "Content-Length: 1000") for _ in range(12)]
    for line in slow:
        line.sendall(b"00")
    commit(clone, "x", "x")
    begun = time.monotonic()
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert time.monotonic() - begun < 5
    assert [status(line) for line in slow] == [408] * 12


@pytest.mark.slow
def test_heads_that_never_end(tight: Kit) -> None:
    """A connection that sends no whole request head in time is dropped; one in use is not."""
    port = int(tight.url.rpartition(":")[2])
    slow = socket.create_connection(("127.0.0.1", port), timeout=20)
    slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
    silent = socket.create_connection(("127.0.0.1", port), timeout=20)
    with httpx.Client() as client:
        for _ in range(10):
            assert client.get(f"{tight.url}/healthz").status_code == 200
            time.sleep(0.3)
    for line in (slow, silent):
        assert line.recv(100) == b""
        line.close()


@pytest.mark.slow
def test_clients_that_do_not_read(tight: Kit, tmp_path: Path) -> None:
    repo, clone = tight.seeded(tmp_path / "a")
    for number in range(3):
        (clone / f"big{number}").write_bytes(random.Random(number).randbytes(7 << 20))
        git(clone, "add", ".")
        git(clone, "commit", "-q", "-m", "big")
        git(clone, "push", "-q", "origin", "HEAD:main")
    sha = git(clone, "rev-parse", "HEAD").strip()
    want = f"0032want {sha}\n00000009done\n".encode()
    head = f"POST /{repo.full_name}.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {len(want)}\r\n\r\n"
    lines = []
    for _ in range(4):
        line = socket.create_connection(("127.0.0.1", int(tight.url.rpartition(":")[2])), timeout=20)
        line.sendall(head.encode() + want)
        lines.append(line)
    assert lines[0].recv(100).startswith(b"HTTP/1.1 200")

    def backends() -> list[psutil.Process]:
        return [p for p in psutil.Process().children(recursive=True) if p.name().startswith("git")]

    assert backends()
    deadline = time.monotonic() + 15
    while backends() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert backends() == []
    for line in lines:
        line.close()
    git(tmp_path, "clone", "-q", tight.remote(repo), "again")


def test_slow_clients_of_the_rest(tight: Kit) -> None:
    line = socket.create_connection(("127.0.0.1", int(tight.url.rpartition(":")[2])), timeout=20)
    line.sendall(b"POST /api/v3/user/repos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
    assert status(line) == 408
    line = socket.create_connection(("127.0.0.1", int(tight.url.rpartition(":")[2])), timeout=20)
    line.sendall(b"POST /api/v3/user/repos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n{")
    assert status(line) == 413


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
def test_fifty_pushes_at_once(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    git(clone, "fetch", "-q")
    wanted = {}
    for number in range(50):
        git(clone, "checkout", "-q", "-b", f"b{number}", "origin/main")
        wanted[f"refs/heads/b{number}"] = commit(clone, f"f{number}", "x")
    gate = threading.Barrier(50)

    def push(ref: str) -> None:
        gate.wait(30)
        git(clone, "push", "-q", kit.remote(repo, "olga"), f"{wanted[ref]}:{ref}")

    with ThreadPoolExecutor(50) as pool:
        for done in [pool.submit(push, ref) for ref in wanted]:
            done.result()
    real = {r: s for r, s in gitrepo.all_refs(repos.path(kit.sandbox, repo)).items() if r in wanted}
    assert real == wanted
    with kit.sandbox.store.read() as tx:
        assert {r: s for r, s in refs.stored(tx, repo.id).items() if r in wanted} == wanted
        assert tx.execute("SELECT count(*) FROM ref_journal").fetchone()[0] == 0
    assert sorted(r for r in kit.events(repo, "push") if r in wanted) == sorted(wanted)
