"""Start, find and stop the background process of a state folder; remove the folder."""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import signal
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import psutil

from gitml_sandbox import process
from gitml_sandbox.errors import LockedError, OutsideError, UsageError
from gitml_sandbox.server import serve
from gitml_sandbox.server.serve import Address

START_SECONDS = 60.0
STOP_SECONDS = 30.0


def default_state() -> Path:
    """``$XDG_STATE_HOME/gitml/sandbox``, or below ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state"
    return base / "gitml" / "sandbox"


def check_folder(root: Path) -> None:
    """Refuse a folder that holds something else: it may be deleted as a whole later."""
    if root.is_dir() and any(root.iterdir()) and not (root / "sandbox.db").exists() and not _begun(root):
        raise UsageError(f"{root} is not empty and no sandbox", "name an empty or new folder with --state")


def up(root: Path, words: Sequence[str], *, tls: bool) -> Address:
    """Start the sandbox in the background unless it is up, and return when it answers.

    ``words`` are the options for the foreground process. Raises UsageError when it is up in the other mode.
    """
    check_folder(root)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _turn(root):
        found = serve.address(root)
        if found is not None:
            _check_mode(found, tls=tls)
            return found
        logs = root / "logs"
        logs.mkdir(exist_ok=True, mode=0o700)
        with (logs / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "gitml_sandbox", "up", "--foreground", "--state", str(root), *words]
            started = process.start(command, cwd=root, stdout=log, stderr=log)
        return _answering(root, started)


def check_port(root: Path, port: int | None) -> None:
    """Raises UsageError when the sandbox is up on another port than the one that is asked for."""
    found = serve.address(root)
    if found is not None and port and found.url.rpartition(":")[2] != str(port):
        raise UsageError(f"the sandbox is up at {found.url}", "stop it first: gitml sandbox down")


def down(root: Path) -> Address | None:
    """Stop what serves the folder, and only that. Returns what was stopped, None when nothing was up."""
    found = serve.address(root)
    if found is None:
        return None
    running = psutil.Process(found.pid)
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        running.kill()
        running.wait(STOP_SECONDS)
    return found


def delete(root: Path) -> bool:
    """Remove a state folder that nobody serves. Whether there was one."""
    if not root.exists():
        return False
    if not (root / "sandbox.db").exists() and not _begun(root):
        raise UsageError(f"{root} is no state folder of a sandbox", "nothing was deleted")
    with serve.only_one(root):
        shutil.rmtree(root)
    return True


def healthy(found: Address) -> bool:
    """Whether it answers now."""
    host, _, port = found.url.partition("://")[2].rpartition(":")
    line: http.client.HTTPConnection
    if found.ca:
        trust = ssl.create_default_context(cafile=found.ca)
        line = http.client.HTTPSConnection(host, int(port), timeout=5, context=trust)
    else:
        line = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        line.request("GET", "/healthz")
        return line.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def _answering(root: Path, started: Popen[bytes]) -> Address:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = serve.address(root)
        if found is not None and found.pid == started.pid and healthy(found):
            # It outlives us; should we live longer (a test, a demo), somebody must take its exit code.
            threading.Thread(target=started.wait, daemon=True).start()
            return found
        if started.poll() is not None:
            raise OutsideError(_last_words(root), f"the whole log: {root / 'logs' / 'server.log'}")
        time.sleep(0.05)
    process.stop(started)
    raise OutsideError(f"the sandbox did not answer within {START_SECONDS:.0f} s", _last_words(root))


def _last_words(root: Path) -> str:
    lines = (root / "logs" / "server.log").read_text(errors="replace").splitlines()
    return "the sandbox ended at once: " + " / ".join(line.strip() for line in lines[-5:])


def _check_mode(found: Address, *, tls: bool) -> None:
    if tls and found.ca is None:
        raise UsageError("the sandbox is up without TLS", "stop it first: gitml sandbox down")


def _begun(root: Path) -> bool:
    """Whether all that is in the folder can be of a start that did not get far."""
    return {path.name for path in root.iterdir()} <= {"up.lock", "serve.lock", "logs"}


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """Two ups at once: the second waits, and finds the sandbox up."""
    descriptor = os.open(root / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockedError("another `gitml sandbox up` does not end", "see: gitml sandbox status") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
