"""`gitml size`: what follows from what was measured, and the command on a model that serves."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cli.test_serve import APPLICATION, register
from conftest import write
from gitml.inference.size import scoring_plan, serving_plan
from gitml.inference.sizebatch import ScoringCost
from gitml.inference.sizerest import ServingCost
from gitml.spec.kpis import Costs
from serving_models import fitted, saved

SERVING = ServingCost(start=2.0, memory=250.0, alone=0.004, cpu=0.002, cpu_again=0.0022, requests=4000)
SCORING = ScoringCost({1: 1e-4, 32: 2e-5, 256: 1.02e-6, 4096: 1e-6}, 0.5, 2e-6, 400_000, 1.3, 1.2, 300.0)
COSTS = Costs(core_hour=0.04, gigabyte_hour=0.01)


def test_processes_follow_from_the_rate_and_from_how_long_nobody_may_wait() -> None:
    # 500 requests of 2 ms keep one core busy; at 70 % each that takes two.
    plain = serving_plan(SERVING, 500.0, None, COSTS)
    assert (plain.processes, plain.load, plain.memory) == (2, 0.5, 500.0)
    assert plain.month == pytest.approx(730 * (2 * 0.04 + 0.5 * 0.01))
    assert plain.error == pytest.approx(0.1)
    tight = serving_plan(SERVING, 500.0, 0.010, COSTS)
    assert tight.processes > plain.processes
    assert tight.p99 <= 0.010 < plain.p99
    assert serving_plan(SERVING, 500.0, 0.003, COSTS).processes == 0, "no number of processes makes one request quicker"
    assert serving_plan(SERVING, 500.0, None, None).month is None


def test_rows_are_shared_out_among_as_many_processes_as_the_time_takes() -> None:
    assert SCORING.batch == 256
    plan = scoring_plan(SCORING, 10**9, timedelta(minutes=10), COSTS)
    assert plan.processes == 4
    assert plan.seconds <= 600
    assert plan.cost == pytest.approx(plan.seconds / 3600 * (4 * 0.04 + 1.2 * 0.01))
    assert plan.error == pytest.approx(1 / 12)
    assert scoring_plan(SCORING, 10**9, None, None).processes == 1
    assert scoring_plan(SCORING, 10**9, None, None).files == 4, "a file that failed costs minutes to score again"
    assert scoring_plan(replace(SCORING, row=0.0), 10, timedelta(hours=1), None).processes == 1


@pytest.mark.nightly
@pytest.mark.slow
def test_a_version_is_measured_and_what_is_asked_is_answered(tmp_path: Path) -> None:
    write(tmp_path, {"gitml.yaml": APPLICATION + "costs: {core_hour: 0.04}\n"})
    register(tmp_path, "delay", saved(fitted("boosting"), tmp_path / "model.skops"))
    before = sorted(tmp_path.rglob("*"))
    words = [sys.executable, "-m", "gitml", "-C", str(tmp_path), "size", "delay", "--json", "--seconds", "2"]
    asked = ["--target", "300/s", "--p99", "2s", "--rows", "1e7", "--within", "1h"]
    told = json.loads(subprocess.run([*words, *asked], check=True, capture_output=True).stdout)
    assert told["serving"]["requests"] > 50
    assert 50 < told["serving"]["memory"] < 3000
    assert 1e-5 < told["serving"]["cpu"] < 0.1
    assert told["serving_plan"]["processes"] >= 1
    assert told["scoring_plan"]["engine"] == "local"
    assert told["scoring_plan"]["cost"] > 0
    assert sorted(p for p in tmp_path.rglob("*") if ".dvc" not in p.parts) == before, "nothing is kept"
