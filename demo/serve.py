"""Serve: an agent in each environment follows main."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any

import httpx
from box import APP, GITML, PLACE, REPOSITORY, SERVER_CLOCK, TRAFFIC, Box, environment, gitml, need, say, step, until
from promote import KEYS

AGENTS = PLACE / "agents"


def show_agent(box: Box, name: str) -> str:
    step(f"An agent for {name}: it believes signatures alone, checks the artifact, tries it, and serves")
    (AGENTS / name).mkdir(parents=True)
    return start_agent(box, name)


def start_agent(box: Box, name: str, *, quiet: bool = False) -> str:
    """Until the demo ends; its URL, once it serves what main says."""
    place = AGENTS / name
    clock = {"GITML_CLOCK": str(SERVER_CLOCK)} if name == "production" else {}
    # It reads the repository, and reports to the forge's deployments: nothing else is Olga's token for.
    env = environment({**box.forge("olga"), "GITML_SIGNING_KEY": (KEYS / "agent").read_text(), **clock})
    words = ["agent", "run", name, "--from", f"{box.url}/{REPOSITORY}.git", "--repository", REPOSITORY]
    words += ["--state", str(place / "state"), "--port", "0", "--interval", "2", "--json"]
    words += ["--outbox", str(PLACE / "outbox"), *(["--log", str(TRAFFIC)] if name == "production" else [])]
    with (place / "out").open("wb") as out, (place / "err").open("wb") as err:
        process = subprocess.Popen(
            [*GITML, *words], cwd=APP, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
    (place / "pid").write_text(f"{process.pid} {started(process.pid)}")

    def up() -> dict[str, Any] | None:
        need(process.poll() is None, f"the agent ended: {(place / 'err').read_text()[-1500:]}")
        try:
            url = str(json.loads((place / "out").read_text())["url"])
            state = httpx.get(f"{url}/gitml/state", timeout=10).json()
        except (ValueError, httpx.HTTPError):
            return None
        return {"url": url, **state} if state["sync"] == "synced" and state["health"] == "healthy" else None

    found = until(up)
    for model in [] if quiet else found["models"]:
        say(f"{model['model']}: {model['sync']}, {model['health']}; answers at {found['url']}")
    return str(found["url"])


def started(pid: int) -> str:
    """When the process began, in the kernel's words: a number alone may be another process by the time we stop."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def stop_agents(name: str = "*") -> None:
    """Ask those that this demo started to end, and wait for them."""
    for path in AGENTS.glob(f"{name}/pid"):
        number, _, began = path.read_text().partition(" ")
        if not began or started(int(number)) != began:
            continue
        os.kill(int(number), 15)
        end = time.monotonic() + 10
        while started(int(number)) == began and time.monotonic() < end:
            if is_child_gone(int(number)):
                break
            time.sleep(0.1)


def is_child_gone(pid: int) -> bool:
    """Reap it if it is ours; what another run of the demo started is nobody's to reap."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def show_state(box: Box) -> None:
    step("gitml status: what main wants, by whose approval, and what runs")
    for line in gitml("status", folder=APP, env=box.forge("olga")).rstrip().splitlines():
        say(line)
    step("gitml audit: main against the ledger, both ways")
    git_url = box.git_url("olga")
    words = ("remote", "add", "origin", git_url)
    subprocess.run(["git", *words], cwd=APP, env=environment(), check=False, capture_output=True)
    for line in gitml("audit", "--fetch", folder=APP, env=box.forge("olga"), may_fail=True).rstrip().splitlines()[:12]:
        say(line)
