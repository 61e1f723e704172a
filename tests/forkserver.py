"""``gitml`` and ``dvc`` for tests, in processes of their own but without the second that a new one takes to import.

A server that has imported both once forks for every command: the child has the caller's folder, environment,
arguments and streams, runs the same ``main`` and ends with its exit code. What depends on how an interpreter starts
(`needs_new_interpreter`) does not come here, and some tests start the real command always.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PRELOAD = (
    "gitml.cli.train",
    "gitml.cli.reproduce",
    "gitml.cli.diff",
    "gitml.cli.init",
    "gitml.cli.register",
    "gitml.cli.gc",
    "gitml.cli.ci_commit",
    "gitml.cli.ci_run",
    "gitml.cli.ci_render",
    "gitml.cli.ci_dispatch",
    "gitml.cli.ci_wait",
    "gitml.cli.publish",
    "gitml.cli.doctor",
    "dvc.commands.data_sync",
)
_CLIENT = """\
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
line.connect(ADDRESS)
asked = {"words": [NAME, *sys.argv[1:]], "folder": os.getcwd(), "env": dict(os.environ)}
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
line.sendmsg([b"{"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
line.sendall(json.dumps(asked).encode()[1:] + b"\\n")
code = int(line.makefile().readline())
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
# What an interpreter reads when it starts, or a library when it is imported.
_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "HOME", "XDG_", "DVC_", "OMP_", "MALLOC_", "VIRTUAL_ENV")


def needs_new_interpreter(words: tuple[str, ...], env: Mapping[str, str]) -> bool:
    """Whether a fork would differ from a new process; ``sandbox`` becomes a daemon with threads."""

    def read_at_start(of: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in of.items() if name.startswith(_AT_START)}

    return words[1] == "sandbox" or read_at_start(env) != read_at_start(os.environ)


def call(words: tuple[str, ...], folder: Path, env: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
    """A command, ``gitml …`` or ``dvc …``, in ``folder``: exit code (negative: the signal), stdout, stderr.

    Raises TimeoutExpired.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        open(os.devnull, "rb") as nothing,
    ):
        code = forked(server_address(), words, folder, env, (nothing.fileno(), out.fileno(), err.fileno()), timeout)
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def forked(
    address: str,
    words: tuple[str, ...],
    folder: Path,
    env: Mapping[str, str],
    streams: tuple[int, int, int],
    timeout: float | None,
) -> int:
    """The exit code of the command. A caller that goes away takes the command with it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        line.connect(address)
        asked = json.dumps({"words": words, "folder": str(folder), "env": dict(env)}).encode() + b"\n"
        socket.send_fds(line, [asked[:1]], list(streams))
        line.sendall(asked[1:])
        try:
            with line.makefile("rb") as answers:
                answer = answers.readline()
        except TimeoutError:
            raise subprocess.TimeoutExpired(words, timeout or 0) from None
    if not answer:
        raise RuntimeError("the server of forks is gone")
    return int(answer)


@functools.cache
def server_address() -> str:
    """The address of this process's server, which ends with this process."""
    address = str(Path(tempfile.mkdtemp(prefix="gitml-forks-")) / "line")
    started = subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    atexit.register(started.communicate)  # closes its stdin, and waits
    return address


def commands(folder: Path) -> None:
    """Write programs ``gitml`` and ``dvc`` that have this process's server fork, for shells and jobs of a sandbox."""
    for name in ("gitml", "dvc"):
        program = folder / name
        program.write_text(f"#!{sys.executable} -IS\nNAME, ADDRESS = {name!r}, {server_address()!r}\n{_CLIENT}")
        program.chmod(0o755)


def serve(address: str) -> None:
    """Fork for every request until stdin, which the parent holds, is closed."""
    for name in PRELOAD:
        with contextlib.suppress(ImportError):  # the command that needs it says so itself
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "to fork with threads is to hang some day"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(address)
    listening.listen(64)
    awake, wake = socket.socketpair()
    for end in (awake, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    chosen = selectors.DefaultSelector()
    for first in (listening, awake, sys.stdin.buffer):
        chosen.register(first, selectors.EVENT_READ)
    os.write(1, b"ready\n")
    while True:
        for key, _ in chosen.select():
            source: Any = key.fileobj
            if source is listening:
                line, _ = listening.accept()
                pid = _begin(line, [listening, awake, wake, *running.values()])
                running[pid] = line
                chosen.register(line, selectors.EVENT_READ, pid)
            elif source is awake:
                with contextlib.suppress(BlockingIOError):
                    awake.recv(4096)
                _reap(running, chosen)
            elif source is sys.stdin.buffer:
                for pid in running:
                    _kill(pid)
                Path(address).unlink()
                Path(address).parent.rmdir()
                return
            elif key.data in running:  # the caller went away: whatever it sent after its request is the end
                _kill(key.data)
                chosen.unregister(source)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _reap(running: dict[int, socket.socket], chosen: selectors.BaseSelector) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        line = running.pop(pid)
        with contextlib.suppress(KeyError):
            chosen.unregister(line)
        with contextlib.suppress(OSError):
            line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        line.close()


def _begin(line: socket.socket, ours: list[socket.socket]) -> int:
    first, streams, _, _ = socket.recv_fds(line, 1, 3)
    asked = json.loads(first + line.makefile("rb").readline())
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        return pid
    os.setsid()
    for end in (*ours, line):
        end.close()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    _run(asked)
    raise AssertionError("main never returns")


def _run(asked: dict[str, Any]) -> None:
    """The rest of the child's life."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["words"]
    tempfile.tempdir = None
    code = 70
    try:
        if sys.argv[0] == "dvc":
            sys.exit(importlib.import_module("dvc.cli").main())
        importlib.import_module("gitml.cli.main").main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    finally:
        # Not sys.exit: this stack belongs to the server. Threads and atexit end as an interpreter ends them.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
