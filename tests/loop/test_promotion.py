"""From a trained branch to a signed promotion: real Git, DVC, act and HTTP, the workflows that gitml renders."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import gitml
from gitml.governance.keys import generate
from gitml.governance.trust import Believed, believe
from gitml.repo import ledger
from gitml.sandbox.runner import Runner
from gitml.spec.policy import parse_policy
from loop.loop_kit import Loop, Template, new_loop, new_template
from sandbox.forge_kit import Kit, git
from sandbox.runner_kit import Clock

pytestmark = pytest.mark.slow

PATIENCE = 150.0
BRANCHES = "gitml/promote/m/staging/"
GATE = "gitml/gate"
PURPOSES = "trained, evaluated, reproduced, gate, approved, promoted, rolled-back"
POLICY = """\
roles:
  operations: {{people: [olga]}}
  risk: {{people: [rita]}}
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
(out / "metrics.json").write_text(json.dumps({"accuracy": {"value": rate, "low": rate - 0.1, "high": rate + 0.1}}))
"""


class City:
    """The loop of an application with a policy, a key in the Environment, and a guarded main."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop

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

    def evidence(self, folder: Path) -> list[Believed]:
        """All of the ledger, judged by the policy of main; in a fresh clone."""
        clone = self.loop.fresh(folder, "main")
        works = self.loop.works
        head = ledger.fetch(clone, ledger.Remote(works.kit.remote(works.repo, "ada")))
        keys = parse_policy((clone / "policy.yaml").read_bytes()).keys
        now = datetime.now(UTC)
        return [believe(e.content, keys, works.repo.full_name, now) for e in ledger.read(clone, head or "HEAD")]


@pytest.fixture
def city(forge: tuple[Kit, Runner, Clock], tmp_path: Path) -> City:
    kit, runner, _ = forge
    with kit.sandbox.store.write() as tx:
        # The forge knows whose address stands in the commits of main.
        tx.execute("UPDATE users SET email = 'ada@example.org' WHERE login = 'ada'")
    secret, public = generate()
    files = {
        "gitml.yaml": APPLICATION,
        "dvc.yaml": PIPELINE,
        "train.py": TRAIN,
        "params.yaml": "rate: 0.6\n",
        "policy.yaml": POLICY.format(public=public, purposes=PURPOSES),
    }
    template: Template = new_template(tmp_path / "template", files, train=False)
    made = City(new_loop(kit, runner, tmp_path / "here", template))
    git(made.loop.clone, "remote", "add", "origin", kit.remote(made.loop.works.repo, "ada"))
    fixed = gitml(made.loop.clone, "doctor", "--fix", env={"GITHUB_TOKEN": kit.token["ada"]})
    assert fixed.out.count("fixed") >= 3, fixed.out + fixed.err
    made.api("PUT", "/environments/gitml/secrets/GITML_SIGNING_KEY", {"value": secret})
    return made


def test_from_a_branch_to_a_signed_promotion(city: City, tmp_path: Path) -> None:
    loop = city.loop
    began = loop.tip("main")
    pushed = loop.change({"params.yaml": "rate: 0.7\n"}, branch="faster")
    training = loop.pull("faster")
    loop.until(lambda: loop.tip("faster") != pushed and loop.status(loop.tip("faster")), PATIENCE)
    loop.settled()
    city.approve(training, "olga")
    city.until_gate(loop.tip("faster"), "success")
    loop.settled()
    loop.merge(training)

    promotions = loop.until(lambda: [p for p in city.api("GET", "/pulls") if BRANCHES in p["head"]["ref"]], PATIENCE)
    (pull,) = promotions
    number, head = pull["number"], pull["head"]["sha"]
    city.until_gate(head, "pending")
    loop.settled()
    assert pull["user"]["type"] == "Bot"
    shut = city.api("PUT", f"/pulls/{number}/merge", {}, good=False)
    assert "message" in shut
    city.approve(number, "olga")
    loop.settled()
    assert city.status(head) == "pending", "risk has not approved yet"
    city.approve(number, "rita")
    city.until_gate(head, "success")
    loop.settled()
    merged = loop.merge(number)
    loop.until(lambda: loop.works.runs("push")[-1]["head_sha"] == merged)
    loop.settled()

    found = city.evidence(tmp_path / "audit")
    env = {"GITHUB_TOKEN": loop.works.kit.token["ada"], "GITHUB_REPOSITORY": loop.works.repo.full_name}
    env |= {"GITHUB_SERVER_URL": loop.works.kit.url, "GITHUB_API_URL": f"{loop.works.kit.url}/api/v3"}
    audited = gitml(tmp_path / "audit", "audit", "--since", began, env=env)
    assert audited.code == 0, audited.out + audited.err
    assert all(found), [b.reason for b in found]
    said = [(b.statement.binding.kind, b.statement.binding.result) for b in found if b.statement]
    for wanted in ("trained", "evaluated", "gate", "approved", "promoted"):
        assert (wanted, "passed") in said, f"{said}\n{loop.logs()}"
    approved = next(b.statement for b in found if b.statement and b.statement.binding.kind == "approved")
    assert sorted(approved.details["approvers"]) == ["olga", "rita"]
    assert (approved.binding.head, approved.binding.pull) == (head, number)
