"""What the steps of the demo share: where things lie, the sandbox, commands, and how steps are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PLACE = Path(__file__).resolve().parent.parent / ".demo"
CLOCK, SERVER_CLOCK = PLACE / "clock", PLACE / "server-clock"
STATE, APP, REMOTE, TRAFFIC = (PLACE / name for name in ("state", "flight-delay", "dvc-remote", "traffic"))
REPOSITORY = "ada/flight-delay"
PATIENCE = 600.0
ROOT = PLACE.parent
GITML = [sys.executable, "-m", "gitml"]
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
LOUD = "\x1b[1m{}\x1b[0m" if COLOUR else "{}"


class StepError(Exception):
    """A step of the demo did not hold."""


@dataclass(frozen=True)
class Box:
    """The sandbox: its address, the people in it with their tokens."""

    url: str
    api_url: str
    tokens: Mapping[str, str]

    @property
    def home(self) -> str:
        return f"{self.url}/{REPOSITORY}"

    def git_url(self, login: str) -> str:
        return self.url.replace("://", f"://{login}:{self.tokens[login]}@") + f"/{REPOSITORY}.git"

    def address(self, login: str) -> str:
        """The address that the forge knows a person by: only commits with one have an author whom it can name."""
        with self.api(login) as api:
            number = api.get(f"{self.api_url}/users/{login}").json()["id"]
        return f"{number}+{login}@users.noreply.localhost"

    def api(self, login: str) -> httpx.Client:
        """The repository's part of the API, as one person."""
        headers = {"Authorization": f"Bearer {self.tokens[login]}"}
        return httpx.Client(base_url=f"{self.api_url}/repos/{REPOSITORY}/", headers=headers, timeout=60)

    def forge(self, login: str) -> dict[str, str]:
        """What tells gitml which forge, which repository, and as whom."""
        return {
            "GITHUB_SERVER_URL": self.url,
            "GITHUB_API_URL": self.api_url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": self.tokens[login],
        }


def start() -> Box:
    """A sandbox without a past."""
    PLACE.mkdir(parents=True, exist_ok=True)
    step("A forge and a runner on this machine")
    box: dict[str, Any] = json.loads(gitml("sandbox", "up", "--state", str(STATE), "--json", "--env", "GITML_CLOCK"))
    say(f"{box['url']}   log in as {box['users'][0]['login']}, password {box['users'][0]['password']}")
    tokens = {user["login"]: user["token"] for user in box["users"]}
    return Box(box["url"], box["api_url"], tokens)


def until(what: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """What ``what`` gives, as soon as it gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    raise StepError(f"nothing within {PATIENCE:.0f} s")


def need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StepError(otherwise)


def step(text: str) -> None:
    print(f"\n{LOUD.format(text)}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def gitml(*words: str, folder: Path | None = None, env: Mapping[str, str] | None = None, may_fail: bool = False) -> str:
    """What it prints. ``may_fail``: an exit code of its own is an answer too."""
    return run([*GITML, *words], folder=folder, env=env, may_fail=may_fail)


def ahead(clock: Path | None = None) -> int:
    """By how many seconds the demo's clock is turned."""
    try:
        return int((clock or CLOCK).read_text().removesuffix("s"))
    except FileNotFoundError as exc:
        raise StepError("there is no demo: start one with `make demo`, on a terminal") from exc


def set_secret(name: str, value: str, environment: str) -> None:
    words = ["sandbox", "secret", "set", "--state", str(STATE), "--env", environment, REPOSITORY, name]
    run([*GITML, *words], stdin=value)


def dvc(*words: str) -> None:
    run([sys.executable, "-m", "dvc", *words], folder=APP)


def git(*words: str) -> None:
    """Deaf to the configuration of this machine; commits have the demo's time."""
    date = f"{int(time.time()) + ahead()} +0000"
    run(["git", *words], folder=APP, env={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date})


def run(
    words: list[str],
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    stdin: str = "",
    may_fail: bool = False,
) -> str:
    done = subprocess.run(
        words, cwd=folder, env=environment(env), input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode and not may_fail:
        raise StepError(f"{' '.join(words[-4:])}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of this process, without what belongs to another forge or to the configuration of this machine."""
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    outside = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("GIT_", "GITHUB_", "GITML_"))}
    return {**outside, **quiet, "GITML_CLOCK": str(CLOCK), **(more or {})}
