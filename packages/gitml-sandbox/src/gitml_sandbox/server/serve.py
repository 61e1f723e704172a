"""The one process: a lock, a socket on loopback, recovery, the server, the runner."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import uvicorn

from gitml_sandbox import tls
from gitml_sandbox.actions.runner import Runner, machines
from gitml_sandbox.clock import utc_now
from gitml_sandbox.errors import LockedError, OutsideError
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.server import state as forge
from gitml_sandbox.server import welcome
from gitml_sandbox.server.app import create_app

PORT = 8471  # tried first in a new state folder
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """``port`` None: the one of last time, else 8471, else a free one; 0: a free one.

    ``jobs`` run at once; None: one for each core. Every job gets the variables in ``passed``.
    """

    port: int | None = None
    tls: bool = False
    runner: bool = True
    jobs: int | None = None
    passed: Mapping[str, str] = field(default_factory=dict)
    first_users: bool = False
    clock: Callable[[], datetime] = utc_now


@dataclass(frozen=True)
class Address:
    """Who serves a state folder: ``born`` is the process's start time, as process ids are used again."""

    pid: int
    born: float
    url: str
    ca: str | None


@dataclass(frozen=True)
class Running:
    """A sandbox that answers."""

    sandbox: Sandbox
    address: Address
    thread: threading.Thread


@contextmanager
def serving(root: Path, options: Options | None = None) -> Iterator[Running]:
    """Serve ``root`` until the block ends. Raises LockedError when another process serves it."""
    chosen = options or Options()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        stack.enter_context(only_one(root))
        listener = stack.enter_context(_listen(root, chosen.port))
        files = tls.certificates(root) if chosen.tls else None
        trusted = tls.bundle(root) if files else None
        scheme = "https" if files else "http"
        url = f"{scheme}://{'localhost' if files else '127.0.0.1'}:{listener.getsockname()[1]}"
        shutil.rmtree(root / "tmp", ignore_errors=True)
        sandbox = forge.open_forge(root, base_url=url, clock=chosen.clock)
        stack.callback(sandbox.store.close)
        if chosen.first_users:
            welcome.ensure_users(sandbox)
        forge.recover(sandbox)
        thread = stack.enter_context(_server(sandbox, listener, files))
        if chosen.runner:
            stack.enter_context(_runner(sandbox, chosen))
        address = Address(os.getpid(), _born(os.getpid()), url, str(trusted) if trusted else None)
        stack.enter_context(_announced(root, address))
        yield Running(sandbox, address, thread)


def address(root: Path) -> Address | None:
    """Where the sandbox of this state folder answers; None when it is not up."""
    try:
        found = Address(**json.loads((root / "server.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if _born(found.pid) == found.born else None


def last_url(root: Path) -> str:
    """The address of last time, for commands that write links while the sandbox is down."""
    try:
        return str(json.loads((root / "last.json").read_text())["url"])
    except (FileNotFoundError, ValueError, KeyError):
        return f"http://127.0.0.1:{PORT}"


def _born(pid: int) -> float:
    try:
        return round(psutil.Process(pid).create_time(), 2)
    except psutil.Error:
        return 0.0


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Be the one process that serves the folder. Raises LockedError."""
    descriptor = os.open(root / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LockedError(f"a sandbox already serves {root}", "see: gitml sandbox status") from None
    finally:
        os.close(descriptor)


@contextmanager
def _listen(root: Path, wanted: int | None) -> Iterator[socket.socket]:
    last = int(last_url(root).rpartition(":")[2])
    listener = None
    for port in [last, 0] if wanted is None else [wanted]:
        listener = _bind(port)
        if listener is not None:
            break
    if listener is None:
        raise OutsideError(f"port {wanted} is taken", "choose another with --port, or leave it out")
    with listener:
        yield listener


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        return None
    return listener


@contextmanager
def _server(sandbox: Sandbox, listener: socket.socket, files: tls.Certificates | None) -> Iterator[threading.Thread]:
    app = create_app(sandbox)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=512,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        ssl_certfile=files.chain if files else None,
        ssl_keyfile=files.key if files else None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        _wait_started(server, thread)
        yield thread
    finally:
        server.should_exit = True
        thread.join(timeout=_START_SECONDS)
        app.state.git.close()


def _wait_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause, waited = threading.Event(), 0.0
    while not server.started:
        if not thread.is_alive() or waited > _START_SECONDS:
            raise OutsideError("the server did not start", "see logs/server.log in the state folder")
        pause.wait(0.01)
        waited += 0.01


@contextmanager
def _runner(sandbox: Sandbox, options: Options) -> Iterator[None]:
    runner = Runner(sandbox, machines(options.jobs), passed=options.passed)
    runner.start()
    try:
        yield
    finally:
        runner.stop()


@contextmanager
def _announced(root: Path, address: Address) -> Iterator[None]:
    for name in ("server.json", "last.json"):
        fresh = root / f".{name}.new"
        fresh.write_text(json.dumps(asdict(address)))
        os.replace(fresh, root / name)
    try:
        yield
    finally:
        (root / "server.json").unlink(missing_ok=True)
