"""Programs that gitml starts: a clean environment, no shell, errors with their own words."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gitml import clock
from gitml.errors import OutsideError

# All that such a process is told: words in one encoding, and libraries of numbers that start no threads.
_APART = {
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

_KEYS = ("GITML_SIGNING_KEY", "GITML_LOOKS_KEY")
# What libraries of numbers read beside themselves; none is a secret of anybody.
READ_OF_MACHINES = (
    *("/usr", "/lib", "/lib64", "/proc/self", "/proc/stat", "/proc/meminfo", "/proc/cpuinfo"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types"),
    *("/etc/passwd", "/etc/group"),
)


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment for a child: ours without Git's own variables and keys, in one locale; None takes one away.

    A GIT_DIR or GIT_INDEX_FILE inherited from a hook would send every git command to another repository. Nothing that
    gitml starts signs anything, and other processes of the same user read its variables.
    """
    kept = {
        k: v
        for k, v in os.environ.items()
        if (not k.startswith("GIT_") or k in {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO"}) and k not in _KEYS
    }
    wanted = {**kept, "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", **clock.dates(), **(extra or {})}
    return {k: v for k, v in wanted.items() if v is not None}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end and return what it printed. Raises OutsideError with the program's own last words."""
    words = [str(c) for c in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=environment(env),
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as exc:
        missing = f"the folder {cwd}" if not cwd.is_dir() else words[0]
        raise OutsideError(f"{missing} is not there", f"install {words[0]} and see that it is on PATH") from exc
    except subprocess.TimeoutExpired as exc:
        raise OutsideError(
            f"{words[0]} took longer than {timeout:.0f} s", "see whether it waits for something"
        ) from exc
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise OutsideError(f"{' '.join(words[:3])} failed with exit code {done.returncode}: {said[-2000:]}")
    return done


def start(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that ``stop`` reaches its children too."""
    return subprocess.Popen(
        [str(c) for c in command],
        cwd=cwd,
        env=environment(env),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
    )


def start_apart(
    module: str,
    *words: str,
    piped: bool = True,
    stderr: int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    more: Mapping[str, str] | None = None,
    user: int | None = None,
    group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``main`` of ``module`` in a Python like this one that inherits no variable, no file and no folder.

    What it reads from stdin and writes to stdout are pipes of ours, if ``piped``. ``words`` are its arguments from the
    second on; ``more`` are variables that it is told all the same. With ``user`` it is that user's, by number.
    """
    return subprocess.Popen(
        python_apart(module, *words),
        cwd="/",
        env={**_APART, **(more or {})},
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        stdout=subprocess.PIPE if piped else subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
        pass_fds=pass_fds,
        user=user,
        group=group,
        extra_groups=[] if user is not None else None,
    )


def python_apart(module: str, *words: str) -> list[str]:
    """The command that calls ``main`` of ``module`` in a Python like this one; ``words`` are its arguments from the
    second on."""
    code = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, "-I", "-c", code, json.dumps(places_of_python()), *words]


def ask_apart(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    seconds: float,
    most: int,
    more: Mapping[str, str] | None = None,
) -> tuple[bytes, int]:
    """What a program prints that inherits no variable and no file of ours, and how it ended (below 0: by a signal).

    ``more`` are variables that it is told all the same. Raises OutsideError when it is not done after ``seconds``, or
    prints more than ``most`` bytes. Neither it nor what it started outlives the call.
    """
    until = time.monotonic() + seconds
    asked = subprocess.Popen(
        [str(c) for c in command],
        cwd=cwd,
        env={**_APART, "HOME": str(cwd), "TMPDIR": str(cwd), **(more or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert asked.stdout
    try:
        with asked.stdout as stream:
            found = _heard(stream.fileno(), until, most)
        in_time = len(found) <= most and _has_ended(asked.pid, until)
    finally:
        # Before it is waited for: a number that nobody has waited for names no other process yet.
        os.killpg(asked.pid, signal.SIGKILL)
        code = asked.wait()
    if in_time:
        return found, code
    why = f"printed more than {most:,} bytes" if len(found) > most else f"was not done within {seconds:g} s"
    raise OutsideError(f"{Path(str(command[0])).name} {why}")


def _heard(descriptor: int, until: float, most: int) -> bytes:
    pieces, length = [], 0
    while length <= most and select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            break
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def _has_ended(number: int, until: float) -> bool:
    while os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def places_of_python() -> list[str]:
    """Where modules are looked for, but not the working directory of ``python -m``: a key may lie in it."""
    ours = str(Path(__file__).parents[1])
    return [place for place in sys.path if place.startswith("/") and (place == ours or place != os.getcwd())]


def needed_by_python() -> list[str]:
    """Files and folders that a Python like this one, and libraries of numbers, read; none is a secret of anybody.

    To be asked by the process that reads them: of /proc it is its own part alone.
    """
    return [*READ_OF_MACHINES, sys.prefix, sys.base_prefix, *places_of_python()]


def run_logged(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None, log: Path) -> int:
    """Run to the end with all that it prints going to ``log``; the exit code. It does not outlive an interruption."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        started = subprocess.Popen(
            [str(c) for c in command],
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return started.wait()
        finally:
            stop(started)


def stop(started: subprocess.Popen[bytes]) -> None:
    """End what ``start`` started, with its children, at once."""
    if started.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
    started.wait()


@contextmanager
def captured(log: Path) -> Iterator[None]:
    """What this process and its children write to stdout and stderr goes to ``log`` meanwhile.

    On the level of file descriptors, because DVC starts the stages' commands with ours.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(target)
