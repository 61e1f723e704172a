"""An application that ages: a model of late flights, a real agent that answers on a turned clock, and a day on which it
becomes warm."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from agent.agentprocess import AgentProcess, agent_process
from conftest import Ran, at_home, gitml
from gitml.evidence.keys import generate
from gitml.evidence.statement import Statement
from gitml.git import ledger
from gitml.spec.deployment import Deployment, parse_deployment
from gitml_sandbox.actions.runner import Runner
from loop.city_kit import new_city
from loop.turned_kit import TurnedClock
from sandbox.browser_kit import chrome, quiet
from sandbox.forge_kit import Kit, git

DAY = timedelta(days=1)
FILE = "models/delay/production.yaml"
PATIENCE = 900.0
KEPT = (
    "gitml-train.yml",
    "gitml-ready.yml",
    "gitml-main.yml",
    "gitml-gate.yml",
    "gitml-review.yml",
    "gitml-monitor.yml",
)
APPLICATION = """\
application: flights
publisher: gitml
models:
  delay:
    artifact: artifacts/delay/model.onnx
    metrics: artifacts/delay/metrics.json
    signature: artifacts/delay/signature.json
    samples: artifacts/delay/samples.parquet
    reference: artifacts/delay/reference.json
    holdout: {{rows: artifacts/delay/holdout.parquet, label: late, time: day}}
    better: {{brier: lower, accuracy: higher}}
traffic: {{at: {traffic}}}
monitors:
  models:
    delay: {{environments: [production], window: 1w, harm: {{metric: brier, labels_within: 1d}}}}
retrain:
  delay:
    causes: [harm, drift]
    set: {{window.last_day: yesterday, window.first_day: yesterday - 13d}}
    cost: {{hours: 0.1}}
ci: {{forks: false}}
"""
POLICY = """\
roles:
  operations: {{people: [olga, ada]}}
  risk: {{people: [rita]}}
environments:
  production:
    approvals: {{operations: 1}}
    gates:
      format: [onnx]
      evidence: {{evaluated: 30d}}
      canary: true
    canary:
      metric: {{name: accuracy, margin: 0.05}}
      guardrails: {{errors: 0.03, slow: 0.05, missing: 0.03, latency: 10s}}
      labels: {{within: 1d}}
      minimum: {{units: 200, time: 2d}}
      steps: [50]
retraining: {{looks: {{failed: 2, of: 3}}, cool_down: 7d}}
keys:
  ci: {{public: "{public}", owner: CI, purposes: [{purposes}], from: 2026-01-01}}
  looks: {{public: "LOOKS", owner: CI, purposes: [look, canary], from: 2026-01-01}}
"""
PARAMS = """\
window:
  first_day: "{first}"
  last_day: "{last}"
  holdout_days: 10
warm: "{warm}"  # the day on which the world becomes another one
"""
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, flights.py]
    params: [window, warm]
    outs:
      - artifacts/delay/model.onnx
      - artifacts/delay/samples.parquet
      - artifacts/delay/holdout.parquet
      - artifacts/delay/reference.json: {cache: false}
      - artifacts/delay/signature.json: {cache: false}
    metrics:
      - artifacts/delay/metrics.json: {cache: false}
"""
TRAIN = """\
import json, pathlib
from datetime import date, timedelta

import numpy as np
import onnx
import pandas as pd
import yaml
from flights import flights
from gitml.monitoring.reference import Part, write
from onnx import TensorProto, helper

params = yaml.safe_load(open("params.yaml"))
window, warm = params["window"], date.fromisoformat(params["warm"])
first, last = (date.fromisoformat(window[name]) for name in ("first_day", "last_day"))
days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
cut = len(days) - window["holdout_days"]


def rows(some):
    parts = []
    for day in some:
        temp, late = flights(day, 120, warm)
        parts.append(pd.DataFrame({"day": f"{day}", "temp": temp, "late": late}))
    return pd.concat(parts, ignore_index=True)


fitted, held = rows(days[:cut]), rows(days[cut:])
weights, x = np.zeros(2), np.column_stack([fitted["temp"], np.ones(len(fitted))])
for _ in range(20):  # logistic regression, by Newton's method
    p = 1 / (1 + np.exp(-x @ weights))
    weights += np.linalg.solve(x.T * (p * (1 - p)) @ x + 1e-6 * np.eye(2), x.T @ (fitted["late"] - p))

out = pathlib.Path("artifacts/delay")
out.mkdir(parents=True, exist_ok=True)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1])
constants = [helper.make_tensor(n, TensorProto.DOUBLE, [1, 1], [float(w)]) for n, w in zip("ab", weights)]
nodes = [("Mul", ["temp", "a"], "scaled"), ("Add", ["scaled", "b"], "log_odds"), ("Sigmoid", ["log_odds"], "p_late")]
made = [helper.make_node(kind, given, [gives]) for kind, given, gives in nodes]
graph = helper.make_graph(made, "delay", [value("temp")], [value("p_late")], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
(out / "model.onnx").write_bytes(model.SerializeToString())

held["p_late"] = 1 / (1 + np.exp(-(held["temp"] * weights[0] + weights[1])))
held[["temp", "p_late"]].head(50).to_parquet(out / "samples.parquet", index=False)
held[["day", "temp", "late"]].to_parquet(out / "holdout.parquet", index=False)
for part in (fitted, held):
    part["when"] = pd.to_datetime(part["day"], utc=True)
write(out / "reference.json", Part(fitted, ("temp",), "when"), Part(held, ("p_late",), "when"))
field = lambda name: {"name": name, "type": "float64"}
signature = {"inputs": [field("temp")], "outputs": [field("p_late")], "data_until": f"{days[cut - 1]}"}
(out / "signature.json").write_text(json.dumps(signature))
losses = {"brier": (held["p_late"] - held["late"]) ** 2, "accuracy": (held["p_late"] >= 0.5) == held["late"]}
metrics = {}
for name, each in losses.items():
    mean, error = float(each.mean()), 1.96 * float(each.std()) / len(each) ** 0.5
    metrics[name] = {"value": mean, "low": mean - error, "high": mean + error}
(out / "metrics.json").write_text(json.dumps(metrics))
print(f"fitted on {len(fitted)} rows, {days[0]} to {days[cut - 1]}")
"""


def flights(
    day: date, count: int, warm: date, seed: int = 0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How far the temperature is from what is usual, and which flights are late: in the cold those of mild hours, from
    ``warm`` on those of hours that are warm even then."""
    rng = np.random.default_rng([day.toordinal(), seed])
    usual = 2.0 if day >= warm else 0.0
    temp = usual + rng.normal(size=count)
    chance = 1 / (1 + np.exp(-(2.0 * (temp - usual) - 0.5)))
    return temp, (rng.random(count) < chance).astype(float)


FLIGHTS = f"""\
from datetime import date

import numpy as np
import numpy.typing as npt


{inspect.getsource(flights)}"""


class Ageing:
    """The application in a sandbox. It is warm from the Monday ``warm`` on. The server's clock goes from request to
    request, everybody's is turned after it once in a while, because schedules begin at each turn."""

    def __init__(self, kit: Kit, runner: Runner, clock: TurnedClock, folder: Path) -> None:
        folder.mkdir()
        self.clock, self.folder, self.server, self.ahead = clock, folder, folder / "server-clock", 0
        today = self.now().date()
        self.warm = today + timedelta(days=(7 if today.weekday() < 4 else 14) - today.weekday())
        looks, public = generate()
        last = today - DAY
        window = {"first": f"{last - 22 * DAY}", "last": f"{last}", "warm": f"{self.warm}"}
        files = {
            "gitml.yaml": APPLICATION.format(traffic=folder / "traffic"), "params.yaml": PARAMS.format(**window),
            "dvc.yaml": PIPELINE, "train.py": TRAIN, "flights.py": FLIGHTS,
        }  # fmt: skip
        self.city = new_city(kit, runner, folder, files, POLICY.replace("LOOKS", public), kept=KEPT)
        self.loop = self.city.loop
        self.api("PUT", "/environments/gitml-looks/secrets/GITML_LOOKS_KEY", {"value": looks})
        self.api("PUT", "/actions/permissions/workflow", {"can_approve_pull_request_reviews": True})

    def api(self, method: str, path: str, body: Any = None) -> Any:
        return self.city.api(method, path, body)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.clock.hours)

    @property
    def env(self) -> dict[str, str]:
        """What tells a person's command which forge, as whom, and what time it is."""
        works = self.loop.works
        return {
            "GITHUB_TOKEN": works.kit.token["ada"], "GITHUB_REPOSITORY": works.repo.full_name,
            "GITHUB_SERVER_URL": works.kit.url, "GITHUB_API_URL": f"{works.kit.url}/api/v3",
            "GITML_CLOCK": str(self.clock.file),
        }  # fmt: skip

    def gitml(self, *words: str, folder: Path | None = None) -> Ran:
        return gitml(folder or self.loop.clone, *words, env=self.env)

    # The server.

    @contextlib.contextmanager
    def agent(self) -> Iterator[AgentProcess]:
        """Asked to end, so that its log is whole."""
        self.turn_server(self.now())
        works = self.loop.works
        words = ["--from", works.kit.remote(works.repo), "--repository", works.repo.full_name, "--port", "0"]
        words += ["--state", str(self.folder / "agent"), "--interval", "1", "--json"]
        words += ["--log", str(self.folder / "traffic")]
        env = {**at_home(), **self.env, "GITML_CLOCK": str(self.server)}
        with agent_process([sys.executable, "-m", "gitml", "agent", "production", *words], self.folder, env) as found:
            found.wait(lambda state: state["sync"] == "synced" and state["health"] == "healthy", 120)
            yield found
            found.process.send_signal(signal.SIGTERM)
            found.process.wait(60)

    def turn_server(self, moment: datetime) -> None:
        """Never back."""
        self.ahead = max(self.ahead, math.ceil((moment - datetime.now(UTC)).total_seconds()))
        new = self.server.with_suffix(".new")
        new.write_text(f"{self.ahead}s")
        new.replace(self.server)

    def ask(self, agent: AgentProcess, first: date, days: int, *, requests: int, rows: int = 1) -> dict[str, int]:
        """So many requests of so many rows on each day, from noon on; eight hours later what became of them. How many
        each version answered."""
        answered: dict[str, int] = {}
        with httpx.Client(base_url=agent.url, timeout=30) as client:
            for day in (first + n * DAY for n in range(days)):
                self.turn_server(datetime.combine(day, time(12), UTC))
                temp, late = flights(day, requests * rows, self.warm, seed=1)
                labels = []
                for n in range(requests):
                    mine, name = slice(n * rows, (n + 1) * rows), f"{day}-{n}"
                    told = {"x-request-id": name, "Gitml-Unit": f"aircraft-{name}"}
                    body = {"columns": {"temp": temp[mine].tolist()}}
                    answer = client.post("/models/delay/predict", json=body, headers=told)
                    assert answer.status_code == 200, answer.text
                    version = answer.headers["gitml-version"]
                    answered[version] = answered.get(version, 0) + 1
                    labels += [{"request_id": name, "row": r, "label": v} for r, v in enumerate(late[mine].tolist())]
                self.turn_server(datetime.combine(day, time(20), UTC))
                answer = client.post("/models/delay/labels", json={"labels": labels})
                assert answer.status_code == 200, answer.text
        return answered

    def follow(self, moment: datetime) -> None:
        """The clock of the forge and its jobs comes to ``moment``, and all that its schedules begin is over."""
        before = len(self.monitors())
        self.clock.later(math.ceil((moment - self.now()) / timedelta(hours=1)))
        self.loop.until(lambda: len(self.monitors()) > before, PATIENCE)
        self.settled()

    def monitors(self) -> list[Any]:
        runs = self.loop.works.runs("schedule")
        return [run for run in runs if run["path"].endswith("gitml-monitor.yml") and run["status"] == "completed"]

    def settled(self) -> None:
        self.loop.settled(PATIENCE)

    # What people do, and what they see.

    def pulls(self) -> dict[str, Any]:
        """What is open, by its branch."""
        return {pull["head"]["ref"]: pull for pull in self.api("GET", "/pulls?state=open")}

    def merged(self, number: int, *logins: str) -> None:
        """They approve one after the other; only with the last of them it can be merged, and ada does."""
        for login in logins:
            refused = self.city.api("PUT", f"/pulls/{number}/merge", {}, good=False)
            assert "message" in refused, f"#{number} could be merged before {login} had looked"
            self.city.approve(number, login)
            self.settled()
        sha = self.api("GET", f"/pulls/{number}")["head"]["sha"]
        assert self.city.status(sha) == "success", self.loop.logs()
        self.loop.merge(number)
        self.settled()

    @property
    def state(self) -> Deployment:
        clone, remote = self.loop.clone, self.loop.works.kit.remote(self.loop.works.repo, "ada")
        git(clone, "fetch", "-q", remote, "+main:refs/remotes/origin/main")
        return parse_deployment(git(clone, "show", f"origin/main:{FILE}").encode(), FILE)

    def told(self, number: int, kind: str) -> str:
        """The one comment of that kind."""
        (found,) = [c["body"] for c in self.loop.comments(number) if f"gitml:report:flights/{kind}" in c["body"]]
        return str(found)

    def keep(self, number: int, name: str) -> None:
        """A picture of how the page of a pull request begins, in the folder $GITML_SCREENSHOTS if there is one."""
        if folder := os.environ.get("GITML_SCREENSHOTS"):
            works = self.loop.works
            with chrome() as driver:
                driver.set_window_size(1240, 1640)
                driver.get(f"{works.kit.url}/{works.repo.full_name}/pull/{number}")
                quiet(driver)
                driver.save_screenshot(str(Path(folder, f"{name}.png")))

    def signed(self, folder: Path, branch: str = ledger.BRANCH) -> list[Statement]:
        """Every statement of the branch, each believed by main's policy."""
        found = self.city.evidence(folder, branch, self.now())
        assert all(found), [one.why_not for one in found]
        return [one.statement for one in found if one.statement]
