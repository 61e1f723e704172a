"""The dashboard and the alert rules of `deploy/`: metrics that a server has, in words that Prometheus reads."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gitml.serving.livegauges import LiveGauges
from gitml.serving.metrics import Metrics
from gitml.serving.state import ServerState
from gitml.traffic.livesketch import LiveDistance
from gitml.traffic.predictionlog import LogStats

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES, BOARD = DEPLOY / "prometheus/gitml.rules.yml", DEPLOY / "grafana/gitml.json"
# Of Grafana, which puts a value in their place.
VARIABLES = {"$__rate_interval": "5m", "$model": ".*"}
# Written by the agent alone.
OF_AGENTS = {"gitml_look_age_seconds", "gitml_look_window_seconds"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def asked() -> Iterator[str]:
    """Every expression of the dashboard, as Prometheus gets it."""
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield expression


def test_every_metric_is_one_of_a_server() -> None:
    metrics = Metrics(ServerState("production"), LogStats)
    metrics.registry.register(LiveGauges(lambda: [LiveDistance("delay", "v1", "feature_temp", 0.2, 500)]))
    families = text_string_to_metric_families(metrics.text().decode())
    known = {name for family in families for name in (family.name, *(sample.name for sample in family.samples))}
    # Counters have a sample once something was counted.
    known |= {f"{name}_total" for name in known} | {"gitml_request_seconds_bucket"} | OF_AGENTS
    used = {name for text in (*asked(), *(rule["expr"] for rule in rules())) for name in re.findall(r"gitml_\w+", text)}
    assert used <= known
    assert used >= {"gitml_live_distance", "gitml_look_age_seconds", "gitml_served", "gitml_log_dropped"}


def test_the_dashboard_has_a_place_for_each_panel() -> None:
    board = json.loads(BOARD.read_text())
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]}
    assert len(places) == len(board["panels"]) == len({p["id"] for p in board["panels"]})
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in board["panels"])
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert {name for text in re.findall(r"\$\{?(\w+)", BOARD.read_text()) for name in [text]} <= names | {
        "__rate_interval",
        "__all",
    }


def test_every_rule_says_what_it_means_and_how_bad_it_is() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Gitml")
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool; on Debian: apt-get install prometheus")
def test_prometheus_reads_them_and_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    recorded = [{"record": f"panel:{place}", "expr": text} for place, text in enumerate(asked())]
    board = tmp_path / "board.rules.yml"
    board.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": recorded}]}))
    for words in (("check", "rules", RULES, board), ("test", "rules", RULES.with_name("gitml.rules.test.yml"))):
        done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
