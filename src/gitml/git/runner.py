"""The one place that starts Git: none of the user's GIT_* variables, one locale, no hooks, no replaced objects."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO

from gitml.errors import OutsideError
from gitml.process import run, start, stop

# What a clone could lie with about its own objects and history.
PLAIN = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
_CHUNK = 1 << 16
_SETTINGS = {"core.hooksPath": os.devnull, "commit.gpgSign": "false", "log.showSignature": "false"}


def settings(more: Mapping[str, str]) -> dict[str, str]:
    """The environment that gives a child of Git these settings, and those that every child has."""
    wanted = {**_SETTINGS, **more}
    env = {**PLAIN, "GIT_CONFIG_COUNT": str(len(wanted))}
    for number, (key, value) in enumerate(wanted.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def git(
    folder: Path,
    *words: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> CompletedProcess[bytes]:
    """Run ``git WORDS…`` in ``folder``. Raises OutsideError with Git's own words."""
    return run(
        ["git", *words], cwd=folder, env={**settings({}), **(env or {})}, stdin=stdin, timeout=timeout, check=check
    )


def fields(
    folder: Path,
    *words: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    errors: str = "backslashreplace",
) -> Generator[str]:
    """What ``git WORDS…`` prints with ``-z``, field by field while it runs; whoever closes this early ends Git.

    What is not UTF-8 is shown, and matches nothing, unless ``errors`` says otherwise. Raises OutsideError with Git's
    own words.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(stdin)
        asked.seek(0)
        wanted = {**settings({}), **(env or {})}
        started = start(["git", *words], cwd=folder, env=wanted, stdin=asked, stderr=said)
        try:
            if started.stdout is not None:
                with closing(started.stdout) as printed:
                    yield from _split(printed, errors)
            if started.wait() != 0:
                said.seek(0)
                why = said.read().decode(errors="replace").strip()[-2000:]
                raise OutsideError(f"git {words[0]} failed with exit code {started.returncode}: {why}")
        finally:
            stop(started)


def _split(printed: IO[bytes], errors: str) -> Iterator[str]:
    rest = b""
    while chunk := printed.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from (field.decode("utf-8", errors) for field in whole)
    if rest:
        yield rest.decode("utf-8", errors)
