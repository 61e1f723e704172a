"""The loop on this machine: a sandbox forge, a push, a training under act, a report on the pull request.

    python demo/loop.py up      start over, show every step; on a terminal the sandbox stays up for a look
    python demo/loop.py stop    stop the sandbox and forget it

Exit code 0 only if every step held.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

PLACE = Path(__file__).resolve().parent.parent / ".demo"
STATE, APP, REMOTE = PLACE / "state", PLACE / "flight-delay", PLACE / "dvc-remote"
REPOSITORY, BRANCH = "ada/flight-delay", "weather"
PATIENCE = 600.0
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
LOUD = "\x1b[1m{}\x1b[0m" if COLOUR else "{}"


class StepError(Exception):
    """A step of the demo did not hold."""


def main() -> int:
    action = sys.argv[1] if len(sys.argv) == 2 else ""
    if action == "stop":
        stop()
        return 0
    if action != "up":
        sys.exit(str(__doc__))
    stays = sys.stdin.isatty() and sys.stdout.isatty()
    held = False
    try:
        show_loop(start())
        held = True
    except StepError as exc:
        print(f"\nthe demo stopped here: {exc}", file=sys.stderr)
    finally:
        if not (held and stays):
            stop()
    if held and stays:
        print("\nThe sandbox stays up: look around, review, merge. `make demo-stop` ends it.")
    return 0 if held else 1


def start() -> dict[str, Any]:
    """A sandbox without a past; what it says of itself."""
    stop()
    PLACE.mkdir(parents=True, exist_ok=True)
    step("A forge and a runner on this machine")
    box: dict[str, Any] = json.loads(gitml("sandbox", "up", "--state", str(STATE), "--json"))
    say(f"{box['url']}   log in as {box['users'][0]['login']}, password {box['users'][0]['password']}")
    return box


def stop() -> None:
    if (STATE / "sandbox.db").exists():
        subprocess.run([*GITML, "sandbox", "down", "--state", str(STATE), "--delete"], check=False, capture_output=True)
    shutil.rmtree(PLACE, ignore_errors=True)


def show_loop(box: Mapping[str, Any]) -> None:
    ada = next(user["token"] for user in box["users"] if user["login"] == "ada")
    url = box["url"].replace("://", f"://ada:{ada}@") + f"/{REPOSITORY}.git"
    api = httpx.Client(
        base_url=f"{box['api_url']}/repos/{REPOSITORY}/", headers={"Authorization": f"Bearer {ada}"}, timeout=60
    )
    home = f"{box['url']}/{REPOSITORY}"
    with api:
        application()
        push_main(url, home)
        number = open_pull(api, url, home)
        comment = wait_for_report(api, number)
        show_report(api, number, comment)


def application() -> None:
    step("The reference application, its model not knowing the weather yet")
    # A repository of its own first: inside another one, `gitml init` would start none, and we would commit there.
    APP.mkdir()
    git("init", "-q", "-b", "main")
    gitml("init", "--example", "flight-delay", folder=APP)
    only_delay()
    weather("true", "false")
    dvc("remote", "add", "-q", "--default", "demo", str(REMOTE))
    gitml("ci", "render", folder=APP)
    commit("The application")
    say(gitml("train", "delay", folder=APP).strip().splitlines()[0])
    commit("First version of delay")


def only_delay() -> None:
    """Without the network: torch is no small download, and the sandbox has no GPU."""
    path = APP / "gitml.yaml"
    text = path.read_text()
    head, _, rest = text.partition("\n  mlp:\n")
    _, _, tail = rest.partition("\nhardware:")
    if not tail:
        raise StepError("gitml.yaml is not as expected")
    path.write_text(f"{head}\nhardware:\n  cpu: [ubuntu-latest]\npublisher: gitml\n")


def push_main(url: str, home: str) -> None:
    step("Pushed: data to DVC's remote, everything else to Git; main takes reviewed pull requests only")
    dvc("push", "-q")
    gitml("sandbox", "repo", "create", "--state", str(STATE), REPOSITORY)
    git("push", "-q", url, "main")
    protect = ["sandbox", "repo", "protect", "--state", str(STATE), REPOSITORY, "--reviews", "1"]
    gitml(*protect, "--check", "gitml/train")
    say(home)


def open_pull(api: httpx.Client, url: str, home: str) -> int:
    step("A pull request: the model may see the weather of the hour before departure")
    git("checkout", "-q", "-b", BRANCH)
    weather("false", "true")
    commit("Let the model see the weather")
    git("push", "-q", url, BRANCH)
    body = {"title": "Let the model see the weather", "head": BRANCH, "base": "main"}
    answer = api.post("pulls", json=body)
    need(answer.status_code == 201, f"the pull request was refused: {answer.text[:300]}")
    number = int(answer.json()["number"])
    say(f"{home}/pull/{number}")
    return number


def wait_for_report(api: httpx.Client, number: int) -> dict[str, Any]:
    step("The rendered workflow trains it under act")
    began, told = time.monotonic(), set()

    def over() -> dict[str, Any] | None:
        for name, state in jobs(api):
            if (name, state) not in told:
                told.add((name, state))
                say(f"{time.monotonic() - began:5.1f} s  {name}: {state}")
        head = api.get(f"pulls/{number}").json()["head"]["sha"]
        states = {s["context"]: s["state"] for s in reversed(api.get(f"commits/{head}/statuses").json())}
        comments = api.get(f"issues/{number}/comments").json()
        goes_on = [run for run in api.get("actions/runs").json()["workflow_runs"] if run["status"] != "completed"]
        need(states.get("gitml/train") not in ("failure", "error"), "the status gitml/train says that it failed")
        return dict(comments[0]) if comments and states.get("gitml/train") == "success" and not goes_on else None

    return until(over)


def jobs(api: httpx.Client) -> list[tuple[str, str]]:
    """Each job of the branch's runs, and how far it is."""
    runs = api.get("actions/runs", params={"branch": BRANCH}).json()["workflow_runs"]
    found = []
    for run in sorted((r for r in runs if r["name"] == "gitml train"), key=lambda r: r["id"]):
        begun = api.get(f"actions/runs/{run['id']}/jobs").json()["jobs"]
        begun = [job for job in begun if job["status"] in ("in_progress", "completed")]
        found += [(f"run {run['id']}, {job['name']}", job["conclusion"] or "running") for job in begun]
    return found


def show_report(api: httpx.Client, number: int, comment: Mapping[str, Any]) -> None:
    step("The report, as a comment of the pull request")
    body = str(comment["body"])
    lines = [line for line in body.splitlines() if line and not line.startswith("<!--")]
    for line in lines[:24]:
        say(line)
    say(f"… {len(lines)} lines, {body.count('.png')} pictures: {comment['html_url']}")
    need(body.count(".png") >= 2, "the report has no charts")
    need("auc" in body, "the report has no metrics")
    comments = api.get(f"issues/{number}/comments").json()
    need(len(comments) == 1, f"there are {len(comments)} comments instead of one")
    files = [entry["filename"] for entry in api.get(f"pulls/{number}/files").json()]
    records = [name for name in files if name.startswith("models/delay/versions/")]
    need(len(records) == 1, f"the pull request brings {len(records)} version records instead of one")
    step("Committed by the bot, for review together with the code")
    for name in files:
        say(name)


def until(what: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    raise StepError(f"nothing within {PATIENCE:.0f} s")


def weather(old: str, new: str) -> None:
    path = APP / "params.yaml"
    text = path.read_text()
    head, key, tail = text.partition(f"\ntrain:\n  weather: {old}")
    need(bool(key), "params.yaml has no line train.weather")
    path.write_text(f"{head}\ntrain:\n  weather: {new}{tail}")


def commit(message: str) -> None:
    need((APP / ".git").is_dir(), f"{APP} is no repository of its own")
    git("add", ".")
    git("commit", "-q", "-m", message)


def need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StepError(otherwise)


def step(text: str) -> None:
    print(f"\n{LOUD.format(text)}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


GITML = [sys.executable, "-m", "gitml"]


def gitml(*words: str, folder: Path | None = None) -> str:
    return run([*GITML, *words], folder=folder)


def dvc(*words: str) -> None:
    run([sys.executable, "-m", "dvc", *words], folder=APP)


def git(*words: str) -> None:
    """As Ada, deaf to the configuration of this machine."""
    run(["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *words], folder=APP)


def run(words: list[str], folder: Path | None = None) -> str:
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    outside = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("GIT_", "GITHUB_"))}
    done = subprocess.run(words, cwd=folder, env={**outside, **quiet}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"{' '.join(words[-4:])}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
