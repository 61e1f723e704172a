"""Times of whole commands, taken in turn so that a machine whose speed drifts is fair to all of them."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Medians in seconds: ``wall`` and ``cpu`` (user and system, children included)."""

    wall: float
    cpu: float


def in_turn(commands: Mapping[str, Sequence[str]], *, cwd: Path, rounds: int = 9) -> dict[str, Timing]:
    """Run each command once unmeasured, then ``rounds`` times A B A B …; a command that fails stops it all."""
    # Installed packages have their bytecode; ours would be compiled at every start where it may not be written.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, cwd=cwd, check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if turn:
                taken[name].append((wall, cpu))
    return {
        name: Timing(statistics.median(w for w, _ in runs), statistics.median(c for _, c in runs))
        for name, runs in taken.items()
    }


def git(folder: Path, *words: str) -> None:
    """Git with a fixed identity and none of the user's configuration."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.com"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, env=env, stdout=subprocess.DEVNULL)
