"""Push: a pull request with a real change, trained in CI, reported on, and committed by the bot."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx
import promote
from box import APP, REMOTE, REPOSITORY, STATE, TRAFFIC, Box, dvc, git, gitml, need, say, step, until
from ruamel.yaml import YAML

BRANCH = "weather"


def show_training(box: Box) -> int:
    """The number of the pull request, trained and reported on."""
    push_main(box)
    with box.api("ada") as api:
        number = open_pull(api, box)
        show_report(api, number, wait_for_report(api, number))
    return number


def application(box: Box) -> None:
    step("The reference application, its model not knowing the weather yet")
    # A repository of its own first: inside another one, `gitml init` would start none, and we would commit there.
    APP.mkdir()
    git("init", "-q", "-b", "main")
    git("config", "user.name", "Ada")
    git("config", "user.email", box.address("ada"))
    gitml("init", "--example", "flight-delay", folder=APP)
    settings()
    weather("true", "false")
    promote.make_keys()
    propose_onwards()
    dvc("remote", "add", "-q", "--default", "demo", str(REMOTE))
    gitml("ci", "render", folder=APP)
    commit("The application")
    say(gitml("train", "delay", folder=APP).strip().splitlines()[0])
    commit("First version of delay")


def settings() -> None:
    """Without the network: torch is no small download, and the sandbox has no GPU."""
    path, yaml = APP / "gitml.yaml", YAML()
    yaml.width = 200
    document = yaml.load(path)
    del document["models"]["mlp"], document["stages"], document["hardware"]["gpu"]
    document.update({"traffic": {"at": str(TRAFFIC)}, "publisher": "gitml"})
    yaml.dump(document, path)


def push_main(box: Box) -> None:
    step("Pushed: data to DVC's remote, everything else to Git; main takes reviewed pull requests only")
    dvc("push", "-q")
    gitml("sandbox", "repo", "create", "--state", str(STATE), REPOSITORY)
    git("push", "-q", box.git_url("ada"), "main")
    say(box.home)
    promote.guard(box)


def open_pull(api: httpx.Client, box: Box) -> int:
    step("A pull request: the model may see the weather of the hour before departure")
    git("checkout", "-q", "-b", BRANCH)
    weather("false", "true")
    commit("Let the model see the weather")
    git("push", "-q", box.git_url("ada"), BRANCH)
    body = {"title": "Let the model see the weather", "head": BRANCH, "base": "main"}
    answer = api.post("pulls", json=body)
    need(answer.status_code == 201, f"the pull request was refused: {answer.text[:300]}")
    number = int(answer.json()["number"])
    say(f"{box.home}/pull/{number}")
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
        need(states.get("gitml/train") not in ("failure", "error"), "the status gitml/train says that it failed")
        return (
            dict(comments[0]) if comments and states.get("gitml/train") == "success" and promote.settled(api) else None
        )

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


def propose_onwards() -> None:
    """What runs in staging is proposed for production, too."""
    path = APP / "policy.yaml"
    head, key, tail = path.read_text().partition("\n  production:\n")
    need(bool(key), "policy.yaml has no environment production")
    path.write_text(f"{head}{key}    propose: true\n{tail}")


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
