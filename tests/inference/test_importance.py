"""`gitml importance`: what a version goes by on the held-out rows, in its record, in the report and on its card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import gitml
from gitml.inference.importance import change_by_exchange, mean_change
from gitml.reports.facts import Outcome, Report, ReportedModel
from gitml.reports.importancefacts import (
    DependenceCurve,
    DependencePoint,
    InputImportance,
    ReportedImportance,
    importance_json,
    parse_importance,
)
from gitml.reports.markdown import render
from gitml.stats import fixedsample
from gitml.stats.contrast import differences
from gitml.stats.influence import mean
from inference.flight_versions import SIGNATURE, Versions, build


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    versions = build(tmp_path_factory.mktemp("important"))
    spec = versions.root / "gitml.yaml"
    more = "    signature: signature.json\n    importance: importance.json\n    holdout:"
    spec.write_text(spec.read_text().replace("    holdout:", more))
    (versions.root / "signature.json").write_text(json.dumps(SIGNATURE))
    return versions


def test_what_matters_is_what_the_metric_loses(app: Versions) -> None:
    """Days are one observation each, and the same model and rows give the same bytes."""
    done = gitml(app.root, "importance", "delay", "--repeats", "3")
    assert done.code == 0, done.err
    raw = (app.root / "importance.json").read_bytes()
    told = parse_importance(raw)
    assert told is not None
    assert (told.metric, told.better, told.unit, told.units) == ("brier", "lower", "day", 30)
    by_name = {one.name: one for one in told.inputs}
    minute = by_name["minute"]
    assert told.inputs[0].name == "minute", "late in the day flights are late"
    assert minute.low is not None
    assert 0 < minute.low < minute.value < (minute.high or 0)
    assert abs(by_name["distance"].value) < minute.value / 5
    points = told.curves[0].points
    assert (told.curves[0].name, len(points)) == ("minute", 10)
    assert points[-1].mean > points[0].mean
    assert gitml(app.root, "importance", "delay", "--repeats", "3").code == 0
    assert (app.root / "importance.json").read_bytes() == raw


@pytest.mark.parametrize("weight", [1.0, 0.05])
def test_the_interval_holds_what_another_sample_gives(weight: float) -> None:
    """Of a model whose importance is known: with x of another row the error of y = w x + e grows by 2 w² var(x)."""
    random, held, rows = np.random.default_rng(3), 0, 300
    unit = np.arange(rows)
    for _ in range(200):
        x, noise = random.normal(size=rows), random.normal(size=rows)
        own, changes = mean(unit, noise**2), []
        for _ in range(5):
            order = random.permutation(rows)
            changes.append(change_by_exchange(own, mean(unit, (weight * (x - x[order]) + noise) ** 2), order))
        told = fixedsample.interval(differences(mean_change(changes), own.value))
        assert told is not None
        held += int(told.low <= 2.0 * weight**2 <= told.high)
    assert held >= 183, f"an interval of 95 % held it {held} of 200 times"


@pytest.mark.parametrize(
    ("change", "words", "why"),
    [
        (("better: {brier: lower, log_loss: lower, auc: higher}", "better: {profit: higher}"), (), "no metric under"),
        (("application: flights", "private: [late]\napplication: flights"), (), "late is private"),
        (("    importance: importance.json\n", ""), (), "names no importance"),
        (("x", "x"), ("--rows", "holdout.parquet"), "belong together"),
    ],
)
def test_what_cannot_be_told_is_a_reason(
    app: Versions, change: tuple[str, str], words: tuple[str, ...], why: str
) -> None:
    spec = app.root / "gitml.yaml"
    before = spec.read_text()
    spec.write_text(before.replace(*change))
    try:
        done = gitml(app.root, "importance", "delay", *words)
    finally:
        spec.write_text(before)
    assert done.code in (2, 3)
    assert why in done.err


def told(**values: tuple[float, float, float]) -> ReportedImportance:
    inputs = tuple(InputImportance(name, *found) for name, found in values.items())
    curve = DependenceCurve("<b>|x", (DependencePoint("`a`", 0.25),))
    return ReportedImportance("auc", "higher", 1000, "row", 1000, 5, inputs, (curve,))


def test_the_report_says_what_changed_since_the_version_before() -> None:
    new = told(age=(0.2, 0.18, 0.22), fare=(0.05, 0.04, 0.06), sex=(0.01, 0.0, 0.02))
    old = told(fare=(0.06, 0.05, 0.07), age=(0.02, 0.01, 0.03), gone=(0.01, 0.0, 0.02))
    model = ReportedModel("m", Outcome.NEW, version="20260101T000000Z-3f2a90bc", importance=new, importance_before=old)
    text = render(Report("a", models=(model,)))
    assert "first of 3 inputs, 3 changes beyond the intervals" in text
    assert "▲ more" in text
    assert "not an input any more" in text
    assert "`<b>\\|x`" in text, "names are code, and break no table"
    assert "as before" in render(Report("a", models=(replace(model, importance_before=new),)))
    other = replace(old, metric="brier")
    assert "beyond" not in render(Report("a", models=(replace(model, importance_before=other),)))


def test_a_file_that_gitml_did_not_write_is_none(tmp_path: Path) -> None:
    fine = importance_json(told(age=(0.2, 0.18, 0.22)))
    assert parse_importance(fine.encode()) == told(age=(0.2, 0.18, 0.22))
    for raw in (b"", b"[]", fine.replace("0.2,", "NaN,").encode(), fine.replace('"row"', '"year"').encode(), None):
        assert parse_importance(raw) is None
