"""Estimates without labels on real flights: near the truth while only the inputs change, silent without overlap."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from application.staging import ROOT


@pytest.fixture(scope="module")
def estimates() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flights_estimates", ROOT / "benchmarks/estimates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.nightly
def test_an_estimate_errs_by_a_third_of_saying_that_nothing_has_changed(trained: Path, estimates: ModuleType) -> None:
    scores, given, count = estimates.under_covariate_shift(trained, 20)
    assert given >= count / 2
    for metric, score in scores.items():
        assert sum(score.off) <= sum(score.naive) / 3, metric
    assert all(sum(score.held) >= 0.9 * given for score in scores.values())
    assert estimates.without_overlap(trained, 5) == 0


@pytest.mark.slow
@pytest.mark.nightly
def test_a_ranking_that_hardly_changes_is_not_said_to_change(trained: Path, estimates: ModuleType) -> None:
    scores, given, _ = estimates.under_covariate_shift(trained, 20, answers=False)
    said = {metric: sum(score.told) for metric, score in scores.items()}
    assert said["auc"] <= given / 10
    assert said["brier"] > 0
