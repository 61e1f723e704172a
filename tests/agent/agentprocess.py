"""`gitml agent` in a process of its own, which answers over HTTP."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


@dataclass
class AgentProcess:
    process: subprocess.Popen[str]
    url: str

    def state(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/gitml/state", timeout=10).json())

    def wait(self, seen: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                state = self.state()
                if seen(state):
                    return state
            time.sleep(0.05)
        raise AssertionError(self.state())


@contextlib.contextmanager
def agent_process(words: Sequence[str], folder: Path, env: Mapping[str, str]) -> Iterator[AgentProcess]:
    """Called with ``--json``. At the end it is killed, if it has not ended by itself; ``agent.log`` is what it said."""
    log = (folder / "agent.log").open("a")
    started = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert started.stdout is not None
        lines = []
        while not lines or not lines[-1].startswith("}"):
            line = started.stdout.readline()
            assert line, (folder / "agent.log").read_text()
            lines.append(line)
        yield AgentProcess(started, json.loads("".join(lines))["url"])
    finally:
        started.kill()
        started.wait()
        if started.stdout is not None:
            started.stdout.close()
        log.close()
