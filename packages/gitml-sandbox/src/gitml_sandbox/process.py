"""Programs that the sandbox starts: a clean environment, no shell, errors with their own words."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from gitml_sandbox.errors import OutsideError

_GIT = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"}


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment for a child: ours without Git's own variables, with a fixed locale; None takes one away.

    A GIT_DIR or GIT_INDEX_FILE inherited from a hook would send every git command to another repository. Replaced
    objects do not count: with them one commit would be judged and another one shown.
    """
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO"}
    }
    wanted = {**kept, **_GIT, "LC_ALL": "C.UTF-8", **(extra or {})}
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
            words, cwd=cwd, env=environment(env), input=stdin, capture_output=True, timeout=timeout, check=False
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


def stop(started: subprocess.Popen[bytes]) -> None:
    """End what ``start`` started, with its children, at once."""
    if started.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
    started.wait()
