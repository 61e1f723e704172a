"""The loop of an application with a policy: a signing key in the Environment, and a guarded main."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conftest import gitml
from gitml.evidence.keys import generate
from gitml.evidence.trust import Believed, believe
from gitml.git import ledger
from gitml.spec.policy import parse_policy
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.forge import emails, repos, users
from loop.loop_kit import Loop, Template, new_loop, new_template
from sandbox.forge_kit import Kit, git

PATIENCE = 150.0
BRANCHES = "gitml/promote/m/staging/"
GATE = "gitml/gate"
PURPOSES = "trained, evaluated, reproduced, gate, approved, promoted, rolled-back"
POLICY = """\
roles:
  operations: {{people: [olga, ada]}}
  risk: {{people: [rita, eve]}}
environments:
  staging:
    approvals: {{operations: 1, risk: 1}}
    gates:
      format: [onnx]
      metrics: {{accuracy: {{at_least: 0.5}}}}
      latency: 1s
      evidence: {{trained: 90d, evaluated: 30d}}
keys:
  ci: {{public: "{public}", owner: CI, purposes: [{purposes}], from: 2026-01-01}}
"""
APPLICATION = """\
application: toy
publisher: gitml
models:
  m:
    artifact: artifacts/m/model.onnx
    metrics: artifacts/m/metrics.json
    signature: artifacts/m/signature.json
    samples: artifacts/m/samples.parquet
    charts: artifacts/m/charts
    better: {accuracy: higher}
ci: {forks: false}
"""
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [rate]
    outs:
      - artifacts/m/model.onnx
      - artifacts/m/samples.parquet
      - artifacts/m/charts
      - artifacts/m/signature.json: {cache: false}
    metrics:
      - artifacts/m/metrics.json: {cache: false}
"""
TRAIN = """\
import json, pathlib
import onnx, pyarrow, yaml
from onnx import TensorProto, helper
import pyarrow.parquet

rate = yaml.safe_load(open("params.yaml"))["rate"]
out = pathlib.Path("artifacts/m")
out.mkdir(parents=True, exist_ok=True)
column = lambda name: helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1])
constant = helper.make_tensor("rate", TensorProto.DOUBLE, [1, 1], [rate])
node = helper.make_node("Mul", ["x", "rate"], ["y"])
graph = helper.make_graph([node], "m", [column("x")], [column("y")], [constant])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
(out / "model.onnx").write_bytes(model.SerializeToString())
rows = [float(i) for i in range(8)]
pyarrow.parquet.write_table(pyarrow.table({"x": rows, "y": [x * rate for x in rows]}), out / "samples.parquet")
field = lambda name: {"name": name, "type": "float64"}
(out / "signature.json").write_text(json.dumps({"inputs": [field("x")], "outputs": [field("y")]}))
points = [{"said": i / 8, "was": min(1.0, i / 8 * rate * 1.4)} for i in range(9)]
axes = {"x": {"field": "said", "type": "quantitative"}, "y": {"field": "was", "type": "quantitative"}}
schema = "https://vega.github.io/schema/vega-lite/v5.json"
chart = {"$schema": schema, "title": "Calibration", "data": {"values": points}, "mark": "line", "encoding": axes}
(out / "charts").mkdir(exist_ok=True)
(out / "charts/calibration.vl.json").write_text(json.dumps(chart))
(out / "metrics.json").write_text(json.dumps({"accuracy": {"value": rate, "low": rate - 0.1, "high": rate + 0.1}}))
"""


class City:
    """The loop of an application with a policy, a key in the Environment, and a guarded main. ``key`` is that one."""

    def __init__(self, loop: Loop, key: str) -> None:
        self.loop, self.key = loop, key

    def api(self, method: str, path: str, body: Any = None, *, token: str = "ada", good: bool = True) -> Any:
        response = self.loop.works.api(method, path, body, token=token)
        assert not good or response.status_code < 300, f"{method} {path}: {response.text}"
        return response.json() if response.content else response.status_code

    def status(self, sha: str) -> str:
        found = [s for s in self.api("GET", f"/commits/{sha}/statuses") if s["context"] == GATE]
        return str(found[0]["state"]) if found else ""

    def until_gate(self, sha: str, state: str) -> None:
        self.loop.until(lambda: self.status(sha) == state, PATIENCE)

    def approve(self, number: int, login: str) -> None:
        self.api("POST", f"/pulls/{number}/reviews", {"event": "APPROVE", "body": "fine"}, token=login)

    def evidence(self, folder: Path, branch: str = ledger.BRANCH, now: datetime | None = None) -> list[Believed]:
        """All of the ledger, or of the looks, judged by the policy of main; in a fresh clone."""
        clone = self.loop.fresh(folder, "main")
        works = self.loop.works
        head = ledger.fetch(clone, ledger.Remote(works.kit.remote(works.repo, "ada")), branch)
        keys = parse_policy((clone / "policy.yaml").read_bytes()).keys
        at = now or datetime.now(UTC)
        return [believe(e.content, keys, works.repo.full_name, at) for e in ledger.read(clone, head or "HEAD")]


TOY_CITY = {"gitml.yaml": APPLICATION, "dvc.yaml": PIPELINE, "train.py": TRAIN, "params.yaml": "rate: 0.6\n"}


def new_city(
    kit: Kit, runner: Runner, folder: Path, files: Mapping[str, str] = TOY_CITY, policy: str = POLICY, **how: Any
) -> City:
    """The application pushed, ``doctor --fix`` done; the four people may write. ``policy`` has places for the public
    half of the key and its purposes; ``how`` as for ``new_template``."""
    with kit.sandbox.store.write() as tx:
        # The forge knows whose address stands in the commits of main.
        emails.add(tx, users.get(tx, "ada").id, ["ada@example.org"])
    secret, public = generate()
    told = {**files, "policy.yaml": policy.format(public=public, purposes=PURPOSES)}
    template: Template = new_template(folder / "template", told, **{"train": False, **how})
    made = City(new_loop(kit, runner, folder / "here", template), secret)
    with kit.sandbox.store.write() as tx:
        repos.set_collaborator(tx, made.loop.works.repo.id, users.get(tx, "eve").id, "write")
    git(made.loop.clone, "remote", "add", "origin", kit.remote(made.loop.works.repo, "ada"))
    fixed = gitml(made.loop.clone, "doctor", "--fix", env={"GITHUB_TOKEN": kit.token["ada"]})
    assert fixed.out.count("fixed") >= 3, fixed.out + fixed.err
    made.api("PUT", "/environments/gitml/secrets/GITML_SIGNING_KEY", {"value": secret})
    return made
