"""What an evaluation writes: groups with a minimum size, samples, charts."""

import json
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
import yaml

from application.staging import ROOT
from charts import Group, write_charts
from conftest import dvc, dvc_ran, git
from evaluation import sample, score, slices
from files import StageError
from flights import LABEL, OUTPUT, inputs
from prepare import features
from scoring import Cost, draws, metrics

COST = Cost(missed=60, false_alert=20)


@pytest.fixture
def table(world: Any) -> pd.DataFrame:
    return features(world.flights, world.planes, world.weather, 15)


@pytest.fixture
def predicted(table: pd.DataFrame) -> np.ndarray:
    noise = np.random.default_rng(2).random(len(table))
    return np.clip(0.6 * noise + 0.3 * table[LABEL].to_numpy(), 0, 1)


def test_groups_below_the_minimum_are_named_but_not_judged(table: pd.DataFrame, predicted: np.ndarray) -> None:
    data = score(table, predicted, 0.4, COST, 10)
    entries = slices(table, data, draws(6, 50, 1), min_cell=40)
    sizes = {("carrier", name): n for name, n in table["carrier"].value_counts().items()}
    sizes |= {("origin", name): n for name, n in table["origin"].value_counts().items()}
    assert {(entry["column"], entry["value"]): entry["rows"] for entry in entries} == sizes
    small = [entry for entry in entries if entry["rows"] < 40]
    assert [entry["value"] for entry in small] == ["UA"]
    assert small[0] == {"column": "carrier", "value": "UA", "rows": sizes["carrier", "UA"], "too_small": True}


def test_a_group_has_the_metrics_of_its_own_rows(table: pd.DataFrame, predicted: np.ndarray) -> None:
    data = score(table, predicted, 0.4, COST, 10)
    entries = slices(table, data, draws(6, 50, 1), min_cell=1)
    found = next(entry for entry in entries if entry["value"] == "EWR")["metrics"]
    mine = metrics(data.part((table["origin"] == "EWR").to_numpy()))
    for name, interval in found.items():
        assert interval["value"] == pytest.approx(mine[name], rel=1e-5)
        assert interval["low"] <= interval["value"] <= interval["high"]


def test_samples_are_request_columns_and_prediction(table: pd.DataFrame, predicted: np.ndarray) -> None:
    columns = inputs(weather=True)
    rows = sample(table, columns, predicted, 50, seed=1)
    assert list(rows.columns) == [*columns, OUTPUT]
    assert len(rows) == 50
    pd.testing.assert_frame_equal(rows, sample(table, columns, predicted, 50, seed=1))
    assert not rows.equals(sample(table, columns, predicted, 50, seed=2))
    assert len(sample(table, columns, predicted, 10**6, seed=1)) == len(table)


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.5])
def test_what_is_not_a_probability_is_refused(table: pd.DataFrame, predicted: np.ndarray, wrong: float) -> None:
    predicted[7] = wrong
    with pytest.raises(StageError, match="not probabilities"):
        score(table, predicted, 0.4, COST, 10)


def test_one_day_is_not_enough_for_an_interval(table: pd.DataFrame, predicted: np.ndarray) -> None:
    one = table["day"] == "2013-01-02"
    with pytest.raises(StageError, match="hold out more days"):
        score(table[one], predicted[one], 0.4, COST, 10)


def test_charts_are_small_valid_and_equal_for_equal_rows(
    table: pd.DataFrame, predicted: np.ndarray, tmp_path: Path
) -> None:
    data, drawn = score(table, predicted, 0.4, COST, 10), draws(6, 50, 1)
    groups = [Group("AA", 140, {"value": 0.6, "low": 0.5, "high": 0.7}), Group("UA", 9, None)]
    for folder in ("a", "b"):
        write_charts(tmp_path / folder, data, drawn, groups)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"{name}.vl.json" for name in ("auc_by_carrier", "calibration", "confusion", "cost", "roc")]
    for name in names:
        text = (tmp_path / "a" / name).read_text()
        assert text == (tmp_path / "b" / name).read_text()
        assert len(text) < 50_000
        alt.Chart.from_dict(json.loads(text))
        assert "NaN" not in text
    assert "UA (9)" in (tmp_path / "a" / "auc_by_carrier.vl.json").read_text()


def test_charts_can_be_drawn_when_no_carrier_is_large_enough(
    table: pd.DataFrame, predicted: np.ndarray, tmp_path: Path
) -> None:
    data = score(table, predicted, 0.4, COST, 10)
    write_charts(tmp_path, data, draws(6, 20, 1), [Group("UA", 9, None)])
    assert json.loads((tmp_path / "auc_by_carrier.vl.json").read_text())


@pytest.mark.nightly
@pytest.mark.slow
def test_dvc_draws_the_curves_of_the_report_too(table: pd.DataFrame, predicted: np.ndarray, tmp_path: Path) -> None:
    write_charts(tmp_path / "artifacts/delay/charts", score(table, predicted, 0.4, COST, 10), draws(6, 20, 1), [])
    plots = [
        entry
        for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
        if next(iter(entry)).startswith("artifacts/delay/")
    ]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}), encoding="utf-8")
    git(tmp_path, "init", "-q")
    dvc(tmp_path, "init")
    drawn = json.loads(dvc_ran(tmp_path, "plots", "show", "--json").out)["data"]
    for entry in plots:
        ((path, axes),) = entry.items()
        rows = drawn[path][0]["content"]["data"]["values"]
        ours = [row for rows in json.loads((tmp_path / path).read_text())["datasets"].values() for row in rows]
        known = {(row[axes["x"]], row[axes["y"]]) for row in ours if axes["x"] in row and axes["y"] in row}
        assert {(row[axes["x"]], row[axes["y"]]) for row in rows} <= known
        assert len(rows) >= 5
