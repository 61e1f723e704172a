"""`gitml graph`: what it draws, the same each time, whatever things are called, and what it leaves out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from conftest import gitml
from gitml.project.graph import graph
from gitml.reports.graph import (
    MOST_CHARACTERS,
    MOST_EDGES,
    DependencyEdge,
    DependencyGraph,
    DependencyNode,
    mermaid,
    tree_text,
)

VERSION, OTHER = "20260101T000000Z-aaaa1111", "20260102T000000Z-bbbb2222"
GITML = """\
application: shop
models:
  demand: {artifact: out/demand.skops, metrics: out/demand.json}
  pricing:
    artifact: out/pricing.skops
    metrics: out/pricing.json
    needs: {demand: answers, weather: {what: features, repository: "https://git.example.org/acme/weather", in: staging}}
  both: {artifact: both.yaml, format: ensemble, metrics: out/both.json, origin: external}
"""
STAGES = {
    "prepare": {"cmd": "x", "outs": ["out/rows"]},
    "demand": {"cmd": "x", "deps": ["out/rows"], "outs": ["out/demand.skops"], "metrics": ["out/demand.json"]},
    "pricing": {
        "cmd": "x",
        "deps": ["out/rows", "out/demand.skops"],
        "outs": ["out/pricing.skops"],
        "metrics": ["out/pricing.json"],
    },
}
TREE = """\
shop
├─ demand
│  ├─ stages: prepare, demand
│  ├─ needed by: pricing (answers), both (aaaa1111)
│  └─ runs: staging aaaa1111, canary bbbb2222
├─ pricing
│  ├─ stages: prepare, demand, pricing
│  ├─ needs: demand (answers), https://git.example.org/acme/weather:weather (features in staging)
│  └─ needed by: both (bbbb2222)
├─ both
│  └─ members: demand (aaaa1111), pricing (bbbb2222)
└─ environments: staging → production
"""
MERMAID = """\
flowchart LR
  subgraph stages
    n0["prepare"]
    n1["demand"]
    n2["pricing"]
  end
  subgraph models
    n3(["demand"])
    n4(["pricing"])
    n5(["both"])
  end
  subgraph elsewhere
    n6[["https://git.example.org/acme/weather:weather"]]
  end
  subgraph environments
    n7{{"staging"}}
    n8{{"production"}}
  end
  n3 ==>|"answers"| n4
  n6 ==>|"features in staging"| n4
  n3 ==>|"aaaa1111"| n5
  n4 ==>|"bbbb2222"| n5
  n3 -->|"aaaa1111, canary bbbb2222"| n7
  n7 -.-> n8
  n1 --> n3
  n2 --> n4
  n0 --> n1
  n0 --> n2
  n1 --> n2
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    members = [
        {"model": model, "version": version, "digest": "1" * 64}
        for model, version in (("demand", VERSION), ("pricing", OTHER))
    ]
    state = {
        "champion": {"version": VERSION, "digest": "1" * 64},
        "canary": {"version": OTHER, "digest": "2" * 64, "weight": 5},
    }
    files = {
        "gitml.yaml": GITML,
        "policy.yaml": "environments: {staging: {}, production: {}}\n",
        "dvc.yaml": yaml.safe_dump({"stages": STAGES}, sort_keys=False),
        "both.yaml": yaml.safe_dump({"ensemble": "mean", "members": members}),
        "models/demand/staging.yaml": yaml.safe_dump(state),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_three_forms_and_each_the_same_again(app: Path) -> None:
    assert gitml(app, "graph").out == TREE
    assert gitml(app, "graph", "--mermaid").out == MERMAID
    found = json.loads(gitml(app, "graph", "--json").out)
    assert found["nodes"][0] == {"kind": "stage", "name": "prepare"}
    assert found["edges"][-1] == {
        "kind": "promotes",
        "source": {"kind": "environment", "name": "staging"},
        "target": {"kind": "environment", "name": "production"},
        "label": "",
    }
    assert mermaid(graph(app)) == mermaid(graph(app))


def test_two_forms_at_once_and_files_that_are_wrong_are_refused(app: Path) -> None:
    both = gitml(app, "graph", "--json", "--mermaid")
    assert (both.code, "choose one" in both.err) == (2, True)
    (app / "dvc.yaml").write_text("stages: [\n")
    assert gitml(app, "graph").code == 2


def test_an_application_with_nothing_but_a_model(tmp_path: Path) -> None:
    (tmp_path / "gitml.yaml").write_text(
        "application: a\nmodels: {m: {artifact: m.onnx, metrics: m.json, origin: external}}\n"
    )
    assert tree_text(graph(tmp_path)) == "a\n└─ m"
    assert mermaid(graph(tmp_path)).text == 'flowchart LR\n  subgraph models\n    n0(["m"])\n  end\n'


HOSTILE = (
    'x"]; click n0 "javascript:alert(1)"',
    "end",
    "<img src=x onerror=alert(1)>",
    "a\nsubgraph evil",
    "%%{init: {'securityLevel': 'loose'}}%%",
    "`md` **bold** @ada #1 ${{ secrets.X }}",
    "\x1b[2J\u202eevil",
    "ü🙂|x|",
)


def test_no_name_of_a_stage_does_anything(tmp_path: Path) -> None:
    nodes = tuple(DependencyNode("stage", name) for name in HOSTILE)
    edges = tuple(DependencyEdge("feeds", nodes[0], node, node.name) for node in nodes[1:])
    drawn = mermaid(DependencyGraph("a", nodes, edges)).text
    node = r'    n\d+\["(?:[A-Za-z0-9 ._/+,:-]|#\d+;)*"\]'
    edge = r'  n\d+ -->\|"(?:[A-Za-z0-9 ._/+,:-]|#\d+;)*"\| n\d+'
    lines = drawn.splitlines()
    assert (lines[0], lines[1], lines[2 + len(nodes)]) == ("flowchart LR", "  subgraph stages", "  end")
    assert all(re.fullmatch(node, line) for line in lines[2 : 2 + len(nodes)])
    assert all(re.fullmatch(edge, line) for line in lines[3 + len(nodes) :])
    shown = tree_text(DependencyGraph("\x1b[2J\u202ea", (DependencyNode("model", "m\nn"),), ()))
    assert shown == "\ufffd[2J\ufffda\n└─ m n"


def large(stages: int, name: str = "s") -> DependencyGraph:
    """Each stage feeds the two after it; one model needs another."""
    nodes = [DependencyNode("stage", f"{name}{number}") for number in range(stages)]
    models = [DependencyNode("model", "a"), DependencyNode("model", "b")]
    edges = [DependencyEdge("feeds", nodes[i], nodes[j]) for i in range(stages) for j in (i + 1, i + 2) if j < stages]
    return DependencyGraph("a", (*nodes, *models), (*edges, DependencyEdge("needs", models[0], models[1], "answers")))


def test_what_is_over_a_page_s_limits_is_left_out_and_told() -> None:
    drawn = mermaid(large(400))
    assert sum("-->" in line or "==>" in line for line in drawn.text.splitlines()) == MOST_EDGES
    assert drawn.left_out.startswith("298 edges and ")
    assert "==>" in drawn.text, "how models depend on each other is left out last"
    assert 'left["298 edges and' in drawn.text
    long = mermaid(large(400, "n" * 70))
    assert len(long.text) <= MOST_CHARACTERS
    assert re.match(r"\d+ edges and \d+ nodes left out", long.left_out)
    assert mermaid(large(200)).left_out == ""


def test_a_graph_of_a_thousand_models_without_an_edge_stays_within_the_limits() -> None:
    nodes = tuple(DependencyNode("model", f"{'m' * 60}{number}") for number in range(1000))
    drawn = mermaid(DependencyGraph("a", nodes, ()))
    assert len(drawn.text) <= MOST_CHARACTERS
    assert "nodes left out" in drawn.left_out
