"""Serve: an agent in each environment follows main; real flights of April are sent to production."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any

import httpx
import pyarrow.compute as pc
import pyarrow.dataset as ds
from box import APP, GITML, PLACE, REPOSITORY, Box, environment, gitml, need, say, step, until
from promote import KEYS

AGENTS = PLACE / "agents"
FLIGHTS = 500


def show_agent(box: Box, name: str) -> str:
    step(f"An agent for {name}: it believes signatures alone, checks the artifact, tries it, and serves")
    (AGENTS / name).mkdir(parents=True)
    return start_agent(box, name)


def start_agent(box: Box, name: str) -> str:
    """Until the demo ends; its URL, once it serves what main says."""
    place = AGENTS / name
    # It reads the repository, and reports to the forge's deployments: nothing else is Olga's token for.
    env = environment({**box.forge("olga"), "GITML_SIGNING_KEY": (KEYS / "agent").read_text()})
    words = ["agent", "run", name, "--from", f"{box.url}/{REPOSITORY}.git", "--repository", REPOSITORY]
    words += ["--state", str(place / "state"), "--port", "0", "--interval", "2", "--json"]
    words += ["--outbox", str(PLACE / "outbox"), "--log", str(place / "log")]
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
    for model in found["models"]:
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


def send_flights(url: str) -> None:
    step("Real flights of April 2013, which the model has never seen, sent one by one")
    table = ds.dataset(APP / "data" / "features" / "2013-04.parquet").head(FLIGHTS)
    names = [field["name"] for field in httpx.get(f"{url}/models/delay", timeout=10).json()["inputs"]]
    late = table["late"].to_pylist()
    rows = table.select(names).to_pylist()
    alerts, right, took = 0, 0, []
    with httpx.Client(base_url=url, timeout=10) as client:
        for number, (row, is_late) in enumerate(zip(rows, late, strict=True)):
            began = time.perf_counter()
            answer = client.post("/models/delay/predict", json={"rows": [row], "unit": f"flight-{number}"})
            took.append(time.perf_counter() - began)
            need(answer.status_code == 200, f"a flight was refused: {answer.text[:300]}")
            said = answer.json()
            (chance,) = next(iter(said["outputs"].values()))
            if number < 4:
                way = f"{row['carrier']} {row['origin']} → {row['dest']}"
                say(f"{way}: {chance:.2f} late; {said['variant']} {said['version']}")
            alert = chance >= 0.25
            alerts += alert
            right += alert and bool(is_late)
    took.sort()
    median = took[len(took) // 2] * 1000
    say(f"… {FLIGHTS} flights, {alerts} alerts, {right} of them late; median {median:.1f} ms a request")


def show_log(box: Box) -> None:
    """Parquet is written every few minutes, and when the agent ends; nobody wants to wait here."""
    step("The agent restarts: what it answered is in the prediction log, and it serves again what it served")
    stop_agents("production")
    table = ds.dataset(AGENTS / "production" / "log" / "predictions", partitioning="hive").to_table()
    need(table.num_rows == FLIGHTS, f"the log has {table.num_rows} rows instead of {FLIGHTS}")
    say(f"{table.num_rows} rows in Parquet, all answered by {', '.join(pc.unique(table['version']).to_pylist())}")
    say(f"columns: {', '.join(table.schema.names[:8])} …")
    start_agent(box, "production")


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
