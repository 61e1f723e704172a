"""Programs that gitml starts: a clean environment, no shell, errors with their own words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitml.errors import OutsideError


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child: ours without Git's own variables, with a fixed locale.

    A GIT_DIR or GIT_INDEX_FILE inherited from a hook would send every git command to another repository.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO"}}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", **(extra or {})}


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
        raise OutsideError(f"{words[0]} took longer than {timeout:.0f} s", "see whether it waits for something") from exc
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise OutsideError(f"{' '.join(words[:3])} failed with exit code {done.returncode}: {said[-2000:]}")
    return done
