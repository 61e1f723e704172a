"""Rows that are unlike any of the training: the forest, its file, and the share of strange rows as a monitored rate."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from safetensors.numpy import load, save
from sklearn.ensemble import IsolationForest as Fitted

from conftest import gitml
from gitml.errors import UsageError
from gitml.inference.monitor import MonitorCall, monitor
from gitml.inference.monitored import Monitored
from gitml.monitoring.outliers.fit import Outliers, fit_outliers, outliers_bytes, read_outliers, write_outliers
from gitml.monitoring.outliers.isolationforest import fit_forest, forest_of
from gitml.monitoring.outliers.rate import OutlierPlan, OutlierRate, OutlierRows, judge_outliers
from gitml.monitoring.promise import Promise
from gitml.monitoring.reference import Part
from gitml.verdict import Phase
from monitoring.watched_world import AT, MONDAY, SIGNATURE, WatchedWorld, build, changed, deploy, rows, weeks

COLUMNS = ("fare", "weather", "word")
PROMISE = Promise(looks=52, columns=1)


@pytest.fixture(scope="module")
def fitted() -> Outliers:
    return fit_outliers(Part(rows(84, 200), COLUMNS, "when"))


def judged(outliers: Outliers, frame: pd.DataFrame, plan: OutlierPlan | None = None) -> OutlierRate:
    """Rows of a week from MONDAY on, cut into batches."""

    def batches() -> Iterator[OutlierRows]:
        every = np.arange(len(frame))
        for places in np.array_split(every, 3):
            some = frame.iloc[places]
            moments = [MONDAY + pd.Timedelta(hours=int(i % 168)) for i in places]
            ids = {
                "request_id": [f"r{i:05}" for i in places],
                "row": pa.array(np.zeros(len(places)), pa.int32()),
                "unit": ["u"] * len(places),
                "arrived": pa.array(moments, pa.timestamp("us", tz="UTC")),
            }
            inputs = pa.RecordBatch.from_pandas(some[[*COLUMNS]], preserve_index=False)
            yield OutlierRows(inputs, pa.record_batch(ids))

    return judge_outliers(outliers, batches(), plan or OutlierPlan(PROMISE, clusters=()))


@pytest.mark.parametrize("count", [2, 50, 3000])
def test_scores_are_those_of_scikit_learn(count: int) -> None:
    rng = np.random.default_rng(count)
    data = rng.normal(size=(count, 5)).astype(np.float32)
    data[:, 2] = np.round(data[:, 2])
    theirs = Fitted(n_estimators=100, max_samples=min(256, count), random_state=3).fit(data)
    ours = forest_of(fit_forest(data, seed=3).arrays())
    live = np.vstack([data, 10 * rng.normal(size=(9000, 5)).astype(np.float32)])
    np.testing.assert_allclose(ours.scores(live), -theirs.score_samples(live), rtol=1e-12)


def test_equal_rows_give_equal_bytes_and_come_back(fitted: Outliers) -> None:
    raw = outliers_bytes(fitted)
    assert raw == outliers_bytes(fit_outliers(Part(rows(84, 200), COLUMNS, "when")))
    back = read_outliers(raw)
    assert back.columns == fitted.columns
    assert back.share == fitted.share
    table = pa.Table.from_pandas(rows(3, 50)[[*COLUMNS]])
    np.testing.assert_array_equal(back.scores(table), fitted.scores(table))


def test_a_quiet_window_is_quiet_and_planted_rows_are_seen(fitted: Outliers) -> None:
    live = rows(14, 100, seed=5)
    quiet = judged(fitted, live)
    assert not quiet.drifted
    assert quiet.rows == 1400
    assert 0.005 < quiet.share < 0.04
    strange = live.copy()
    planted = np.arange(0, 1400, 10)
    strange.loc[planted, ["fare", "weather"]] = 3.5
    found = judged(fitted, strange)
    assert found.drifted
    assert found.share > 0.1
    assert found.effect
    assert found.effect.low > 0.02
    assert {int(one.request_id[1:]) for one in found.strangest} <= {*planted.tolist()}
    assert len(found.strangest) == 10
    assert judged(fitted, strange).strangest == found.strangest


def test_days_are_compared_where_their_rows_are_alike(fitted: Outliers) -> None:
    live, plan = rows(14, 100, seed=5), OutlierPlan(PROMISE)
    quiet = judged(fitted, live, plan)
    assert quiet.p is not None
    assert quiet.p > quiet.level
    assert (quiet.days, quiet.drifted) == (7, False)
    live.loc[np.arange(0, 1400, 10), ["fare", "weather"]] = 3.5
    strange = judged(fitted, live, plan)
    assert strange.p is not None
    assert strange.p < strange.level
    assert strange.drifted
    one_day = judged(fitted, live.iloc[:24], plan)
    assert not one_day.known


def test_fewer_strange_rows_are_no_alarm(fitted: Outliers) -> None:
    usual = rows(14, 2000, seed=5)
    usual["fare"], usual["weather"], usual["word"] = 0.0, 0.0, "a"
    found = judged(fitted, usual, OutlierPlan(PROMISE, floor=0.0, clusters=()))
    assert found.share == 0.0
    assert not found.drifted


@pytest.mark.nightly
def test_quiet_years_stay_quiet() -> None:
    """200 references, and weeks of rows alike: no more alarms than the rate, floor 0; days have their own weather."""
    rng, alarms = np.random.default_rng(0), 0
    for turn in range(200):
        fitted = fit_outliers(Part(rows(28, 40, seed=1000 + turn), ("fare", "weather"), "when"))
        live = rows(7, 100, seed=int(rng.integers(1 << 30)))
        plan = OutlierPlan(Promise(looks=1, columns=1, rate=0.2, promotions=1), floor=0.0, clusters=("day",))
        alarms += judged(fitted, live, plan).drifted
    assert alarms <= 0.2 * 200


def test_missing_and_foreign_values_and_absent_columns_score(fitted: Outliers) -> None:
    table = pa.table(
        {
            "fare": pa.array([None, 0.0, 1e300, float("inf"), -float("inf")]),
            "word": pa.array(["never seen", None, "a", "a", "a"]),
        }
    )
    scores = fitted.scores(table)
    assert np.isfinite(scores).all()
    assert scores[2] == scores[3] > scores[1]
    words = pa.table({"fare": ["a", "b"], "weather": [True, False], "word": [1, 2]})
    assert np.isfinite(fitted.scores(words)).all()
    assert judged(fitted, rows(1, 20)[[*COLUMNS]].iloc[:0]).effect is None


def test_rare_words_are_not_in_the_file() -> None:
    frame = rows(84, 200)
    frame.loc[frame.index[:3], "word"] = "Ada Lovelace"
    raw = outliers_bytes(fit_outliers(Part(frame, COLUMNS, "when")))
    assert b"Lovelace" not in raw


@pytest.mark.parametrize("share", [0.0, 0.5, -1.0, float("nan")])
def test_shares_that_cannot_be(share: float) -> None:
    with pytest.raises(UsageError, match="cannot be outliers"):
        fit_outliers(Part(rows(84, 20), COLUMNS, "when"), share)


def test_too_few_rows_and_unknown_columns() -> None:
    with pytest.raises(UsageError, match="too few"):
        fit_outliers(Part(rows(10, 10), COLUMNS, "when"))
    with pytest.raises(UsageError, match="no value of wind"):
        fit_outliers(Part(rows(84, 20), ("wind",), "when"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left", np.int32(1 << 30)),
        ("right", np.int32(-1)),
        ("feature", np.int32(7)),
        ("threshold", np.nan),
        ("path", np.inf),
        ("roots", np.int32(1 << 30)),
        ("shape", np.int32(1 << 20)),
        ("usual", 0.0),
    ],
)
def test_forests_that_point_out_of_themselves_are_refused(fitted: Outliers, name: str, value: float) -> None:
    arrays = load(outliers_bytes(fitted))
    arrays[name] = np.full_like(arrays[name], value)
    with pytest.raises(UsageError, match=r"points out|lacks") as refused:
        read_outliers(save(arrays))
    assert "gitml outliers" in refused.value.hint


def test_files_that_are_something_else_are_refused(fitted: Outliers) -> None:
    raw = outliers_bytes(fitted)
    for other in (b"", b"{}", raw[:-1], raw[:100], b"\x80\x04N."):
        with pytest.raises(UsageError):
            read_outliers(other)
    arrays = load(raw)
    for name in arrays:
        with pytest.raises(UsageError):
            read_outliers(save({key: array for key, array in arrays.items() if key != name}))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application whose version has outliers, with six weeks of traffic, the last one with planted rows."""
    root = tmp_path_factory.mktemp("outliers") / "app"
    built = build(root)
    write_outliers(root / "outliers.safetensors", Part(rows(84, 200), COLUMNS, "when"))
    text = (root / "gitml.yaml").read_text()
    (root / "gitml.yaml").write_text(text.replace("    better:", "    outliers: outliers.safetensors\n    better:"))
    shutil.rmtree(root / "models")
    world = WatchedWorld(built.root, deploy(root, "m.onnx", SIGNATURE))
    planted = changed(weeks(6), 35, fare=lambda some: some["fare"].where(some.index % 10 != 0, 30.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        world.serve(planted)
    return root


@pytest.fixture
def app(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "app")
    text = (tmp_path / "app/gitml.yaml").read_text()
    text = text.replace(str(template), str(tmp_path / "app"))
    (tmp_path / "app/gitml.yaml").write_text(text + "      clusters: []\n")
    return tmp_path / "app"


def look(app: Path, weeks_before: int = 0) -> Monitored:
    at = AT - timedelta(weeks=weeks_before)
    (found,) = monitor(app, MonitorCall(str(app / "traffic"), at=at))
    return found


@pytest.mark.nightly
@pytest.mark.slow
def test_the_monitor_alarms_and_names_rows_without_their_values(app: Path) -> None:
    found = look(app)
    assert found.outliers
    assert found.outliers.drifted
    assert found.verdicts["drift"].phase is Phase.FAILED
    assert "outliers are 8.6% of the rows, and 1.7% of the training's" in found.verdicts["drift"].reason
    assert found.promise.columns == 5  # three inputs, one output, and the rate
    told = json.loads(json.dumps(found.to_dict()))["outliers"]
    assert set(told["strangest"][0]) == {"request_id", "row"}
    assert {one["request_id"] for one in told["strangest"]} <= {"d35", "d38"}
    said = gitml(app, "monitor", "--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}").out
    assert "outliers: 8.6% of 1,400 rows" in said
    assert "the strangest: d3" in said
    before = look(app, 1)
    assert before.outliers
    assert not before.outliers.drifted


@pytest.mark.slow
def test_they_can_be_muted_or_turned_off_and_a_lost_file_is_no_success(app: Path) -> None:
    config = (app / "gitml.yaml").read_text()
    mute = "      mutes: [{columns: [outliers, fare], until: 2030-01-01, reason: known}]\n"
    (app / "gitml.yaml").write_text(config + mute)
    muted = look(app)
    assert muted.outliers
    assert "known" in muted.outliers.muted
    assert "outliers" not in muted.verdicts["drift"].reason
    (app / "gitml.yaml").write_text(config + "      outliers: {watch: false}\n")
    assert look(app).outliers is None
    (app / "gitml.yaml").write_text(config)
    (app / "outliers.safetensors").write_bytes(b"torn")
    lost = look(app, 1)
    assert lost.outliers
    assert lost.outliers.lacking
    assert lost.verdicts["drift"].phase is Phase.INCONCLUSIVE


@pytest.mark.nightly
@pytest.mark.slow
def test_a_stage_writes_them(app: Path) -> None:
    rows(84, 200).to_parquet(app / "train.parquet")
    before = (app / "outliers.safetensors").read_bytes()
    (app / "outliers.safetensors").unlink()
    done = gitml(app, "outliers", "delay", "--features", "train.parquet", "--time", "when")
    assert done.code == 0, done.err
    assert "outliers.safetensors: 3 columns; of 8,400 rows that it was not fitted on" in done.out
    assert (app / "outliers.safetensors").read_bytes() == before
    assert gitml(app, "outliers", "nobody", "--features", "train.parquet").code == 2
    assert gitml(app, "outliers", "delay", "--features", "gone.parquet").code == 2
