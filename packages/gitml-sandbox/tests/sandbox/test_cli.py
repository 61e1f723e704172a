"""The command as users call it, with real processes."""

import json
import os
import shlex
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import CliRunner

from gitml_sandbox.cli.sandbox import sandbox
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.server import serve
from sandbox.forge_kit import commit, git

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


def in_process(*words: str) -> str:
    """A process of its own, as the shell starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "gitml", "sandbox", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def gitml(*words: str, stdin: str = "", ok: int | None = 0) -> str:
    """The same command without a new interpreter. Returns what it printed, and its error."""
    done = CliRunner().invoke(sandbox, list(words), input=stdin, standalone_mode=False)
    code = done.exception.exit_code if isinstance(done.exception, SandboxError) else int(done.return_value or 0)
    assert done.exception is None or isinstance(done.exception, SandboxError), done.exception
    assert ok is None or code == ok, f"{words} -> {code}\n{done.output}{done.exception}"
    return done.stdout if code == 0 else f"{done.output}{done.exception}\n{getattr(done.exception, 'hint', '')}"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    gitml("down", "--state", str(folder), ok=None)


def test_up_is_idempotent_and_down_forgets(state: Path, tmp_path: Path) -> None:
    where = ("--state", str(state))
    first = json.loads(gitml("up", "--port", "0", "--no-runner", "--json", *where))
    again = json.loads(gitml("up", "--json", *where))
    assert first == again
    assert [u["login"] for u in first["users"]] == ["ada", "olga", "rita", "gitml-bot[bot]"]
    assert httpx.get(f"{first['url']}/healthz").status_code == 200
    assert json.loads(gitml("status", "--json", *where))["up"] is True
    assert "stop it first" in gitml("up", "--port", "1", *where, ok=2)
    # What a newcomer is told to do next works as it is printed.
    said = gitml("up", *where).splitlines()
    steps = [line for line in said if line[:3] in ("1. ", "2. ", "3. ")]
    assert gitml(*shlex.split(steps[0])[3:]).strip() == f"{first['url']}/ada/demo.git"
    assert f"git push {first['url'].replace('://', '://ada@')}/ada/demo HEAD:main" in steps[1]
    assert httpx.get(shlex.split(steps[2])[4]).status_code == 200

    token = {u["login"]: u["token"] for u in first["users"]}
    made = json.loads(gitml("repo", "create", "ada/flights", "--private", "--json", *where))
    remote = made["clone_url"].replace("://", f"://x:{token['olga']}@")
    git(tmp_path, "clone", "-q", remote, "clone")
    commit(tmp_path / "clone", "x", "x")
    git(tmp_path / "clone", "push", "-q", "origin", "HEAD:main")
    gitml("repo", "protect", "ada/flights", "--reviews", "2", "--check", "gate", *where)
    commit(tmp_path / "clone", "x", "y")
    assert "GH006" in git(tmp_path / "clone", "push", "origin", "HEAD:main", ok=False)
    gitml("repo", "protect", "ada/flights", "--off", *where)
    git(tmp_path / "clone", "push", "-q", "origin", "HEAD:main")

    gitml("user", "add", "eve", "--email", "eve@example.org", *where)
    gitml("user", "email", "eve", "eve@work.example", *where)
    assert "already in use" in gitml("user", "email", "ada", "eve@example.org", *where, ok=2)
    gitml("user", "email", "eve", "eve@example.org", "--remove", *where)
    listed = {u["login"]: u["emails"] for u in json.loads(gitml("user", "list", "--json", *where))}
    assert (listed["eve"], listed["ada"]) == (["eve@work.example"], [])

    # Down and up again: same address, same users, same repository.
    gitml("down", *where)
    assert "False" in gitml("status", *where, ok=1)
    assert json.loads(gitml("up", "--no-runner", "--json", *where)) == first
    assert git(tmp_path / "clone", "ls-remote", remote, "refs/heads/main")
    gitml("down", "--delete", *where)
    assert not state.exists()
    assert "there was no state" not in gitml("down", *where)


def test_secrets_of_the_state_are_ours_alone(state: Path) -> None:
    where = ("--state", str(state))
    gitml("up", "--port", "0", "--no-runner", *where)
    gitml("repo", "create", "ada/x", *where)
    gitml("secret", "set", "ada/x", "KEY", *where, stdin="hunter2\n")
    assert [s["name"] for s in json.loads(gitml("secret", "list", "ada/x", "--json", *where))] == ["KEY"]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for name in ("credentials.json", "secrets.key"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    credentials = json.loads((state / "credentials.json").read_text())
    gitml("down", *where)
    stored = b"".join(p.read_bytes() for p in state.glob("sandbox.db*"))
    for secret in [b"hunter2", *(c["token"].encode() for c in credentials)]:
        assert secret not in stored
    assert "no such variable" in gitml("up", "--env", "NOT_THERE", *where, ok=2)
    gitml("secret", "delete", "ada/x", "KEY", *where)
    assert "there is no secret" in gitml("secret", "delete", "ada/x", "KEY", *where, ok=2)


def test_two_ups_at_once(state: Path) -> None:
    words = ("up", "--port", "0", "--no-runner", "--json", "--state", str(state))
    with ThreadPoolExecutor(3) as pool:
        found = [json.loads(f.result()) for f in [pool.submit(in_process, *words) for _ in range(3)]]
    assert found[0] == found[1] == found[2]
    ours = [p for p in psutil.process_iter(["cmdline"]) if str(state) in (p.info["cmdline"] or [])]
    assert len(ours) == 1


def test_down_stops_only_what_is_ours(state: Path) -> None:
    where = ("--state", str(state))
    gitml("up", "--port", "0", "--no-runner", *where)
    found = serve.address(state)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(found.pid)] if psutil.pid_exists(found.pid) else [], timeout=10)
    # The process id has gone to somebody else since.
    other = subprocess.Popen(["sleep", "60"])
    try:
        record = json.loads((state / "server.json").read_text())
        (state / "server.json").write_text(json.dumps({**record, "pid": other.pid}))
        gitml("down", *where)
        time.sleep(0.2)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    gitml("up", "--no-runner", *where)


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    where = ("--state", str(tmp_path))
    assert "not empty" in gitml("up", *where, ok=2)
    assert "no state folder" in gitml("down", "--delete", *where, ok=2)
    assert (tmp_path / "thesis.txt").exists()


def test_a_start_that_fails_says_why(state: Path) -> None:
    with serve._bind(0) as taken:  # type: ignore[union-attr]
        taken.listen()
        port = taken.getsockname()[1]
        said = gitml("up", "--port", str(port), "--no-runner", "--state", str(state), ok=4)
    assert f"port {port} is taken" in said


def test_users_and_tokens(state: Path) -> None:
    where = ("--state", str(state))
    assert "there is no sandbox" in gitml("user", "list", *where, ok=2)
    url = json.loads(gitml("up", "--port", "0", "--no-runner", "--json", *where))["url"]
    assert len(gitml("user", "add", "eve", *where).strip()) >= 12
    assert "is taken" in gitml("user", "add", "EVE", *where, ok=2)
    assert "cannot be a login" in gitml("user", "add", "../x", *where, ok=2)
    gitml("user", "add", "acme", "--type", "organization", "--owner", "ada", *where)
    gitml("user", "team", "acme", "Risk", "rita", "eve", *where)
    token = gitml("token", "create", "eve", "--permission", "contents=read", "--days", "1", *where).strip()
    gitml("repo", "create", "acme/shared", "--private", "--writer", "eve", *where)
    asked = f"{url}/acme/shared.git/info/refs?service="
    assert httpx.get(asked + "git-upload-pack", auth=("x", token)).status_code == 200
    assert httpx.get(asked + "git-receive-pack", auth=("x", token)).status_code == 403
    listed = json.loads(gitml("token", "list", "--json", *where))
    assert token not in json.dumps(listed)
    gitml("token", "revoke", str(listed[-1]["id"]), *where)
    assert "no valid token" in gitml("token", "revoke", str(listed[-1]["id"]), *where, ok=2)
    assert httpx.get(asked + "git-upload-pack", auth=("x", token)).status_code == 401


def test_tls(state: Path, tmp_path: Path) -> None:
    where = ("--state", str(state))
    up = json.loads(gitml("up", "--tls", "--port", "0", "--no-runner", "--json", *where))
    assert up["url"].startswith("https://localhost:")
    gitml("repo", "create", "ada/x", *where)
    remote = f"{up['url']}/ada/x.git"
    assert "certificate" in git(tmp_path, "ls-remote", remote, ok=False)
    git(tmp_path, "ls-remote", remote, env=up["exports"]["git"])
    seen = subprocess.run(
        ["curl", "-sS", f"{up['url']}/healthz"], env={**os.environ, **up["exports"]["curl"]}, capture_output=True
    )
    assert seen.stdout == b'{"status":"ok"}', seen.stderr
    authority = (state / "tls" / "ca.pem").read_bytes()
    # What a client is told to trust is what the machine trusts, and the sandbox besides.
    trusted = Path(up["ca"]).read_bytes()
    roots = Path(ssl.get_default_verify_paths().cafile or os.devnull)
    assert authority in trusted
    assert roots.read_bytes() in trusted
    gitml("down", *where)
    assert json.loads(gitml("up", "--tls", "--no-runner", "--json", *where)) == up
    assert (state / "tls" / "ca.pem").read_bytes() == authority
    assert Path(up["ca"]).read_bytes() == trusted
