"""The model's own metrics: on labels by group, window and source, and estimated where no labels have come."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from conftest import gitml
from gitml.errors import UsageError
from gitml.inference.monitor import MonitorCall, monitor
from gitml.inference.monitored import Monitored
from gitml.models.signature import parse
from gitml.monitoring.evaluated import MOST_ROWS, read_evaluated, write_evaluated
from gitml.monitoring.harm.judge import Labelled, Own
from gitml.monitoring.harm.performance import PerformanceReport, by_group, measured, sources_of
from gitml.reports.monitor import report as report_of
from gitml.verdict import Phase
from monitoring.watched_world import AT, SIGNATURE, WEEK, WatchedWorld, build, changed, deploy, rows, weeks

INPUTS = ("fare", "weather", "word")
HOUR = timedelta(hours=1)


def labels(days: int = 10, per_day: int = 100, hours: int = 1) -> Labelled:
    rng = np.random.default_rng(0)
    hour = np.repeat(np.arange(days * hours), per_day // hours)
    p = rng.random(len(hour))
    truth = (rng.random(len(p)) < p).astype(float)
    carrier, source = (rng.choice(names, len(p)).astype(object) for names in (["AA", "UA"], ["file", "api", ""]))
    look = np.ones(len(p), np.int64)
    return Labelled(truth, p, look, hour // hours, hour, source, {"feature_carrier": carrier}, 0)


def test_intervals_take_rows_of_a_day_as_one_draw_or_those_of_an_hour_where_days_are_few() -> None:
    by_day, by_hour, none = (measured("brier", one) for one in (labels(), labels(1, 600, 6), labels(1)))
    assert by_day is not None
    assert by_hour is not None
    assert none is not None
    assert (by_day.cluster, by_hour.cluster, none.cluster) == ("day", "hour", "")
    assert by_day.low is not None
    assert by_day.high is not None
    assert by_day.low < by_day.value < by_day.high
    assert (none.low, none.high, none.labels) == (None, None, 100)


@pytest.mark.parametrize(
    ("metric", "truth"), [("auc", 0.0), ("auc", 7.0), ("brier", 3.5)], ids=["one kind", "numbers", "fares"]
)
def test_metrics_that_labels_do_not_have_are_left_out(metric: str, truth: float) -> None:
    some = labels()
    assert measured(metric, Labelled(np.full(len(some), truth), some.predicted, some.look, some.day)) is None
    assert measured("auc", labels(1, 20)) is None


def test_groups_have_the_metric_that_their_evaluation_had() -> None:
    some = labels()
    groups = [("carrier", "feature_carrier", value, Own(0.2)) for value in ("AA", "UA", "gone")]
    found = by_group(some, "brier", groups)
    assert [(one.value, one.measured is not None) for one in found] == [("AA", True), ("UA", True), ("gone", False)]
    assert sum(one.labels for one in found) == len(some)
    assert sources_of(some).keys() == {"file", "api", "unknown"}


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> WatchedWorld:
    world = build(tmp_path_factory.mktemp("performance") / "app")
    evaluated = pa.Table.from_pandas(rows(84, 60, seed=3), preserve_index=False)
    write_evaluated(world.root / "evaluated.parquet", iter(evaluated.to_batches()), INPUTS, ("p",), "late", "when")
    slices = [{"column": "word", "value": word, "metrics": {"auc": {"value": 0.83}}} for word in "ab"]
    (world.root / "slices.json").write_text(json.dumps([*slices, {"column": "word", "value": "c", "too_small": True}]))
    return WatchedWorld(world.root, deploy(world.root, "m.onnx", SIGNATURE))


@pytest.fixture
def world(template: WatchedWorld, tmp_path: Path) -> WatchedWorld:
    root = tmp_path / "app"
    shutil.copytree(template.root, root)
    text = (root / "gitml.yaml").read_text().replace(str(template.root), str(root))
    (root / "gitml.yaml").write_text(text.replace("better: {auc: higher}", "better: {auc: higher, brier: lower}"))
    return WatchedWorld(root, template.version)


def look(world: WatchedWorld, **more: Any) -> tuple[Monitored, PerformanceReport]:
    (found,) = monitor(world.root, MonitorCall(str(world.traffic), **{"at": AT, **more}))
    assert found.report is not None
    return found, found.report


@pytest.mark.slow
def test_realised_performance_takes_the_place_of_what_was_estimated(world: WatchedWorld) -> None:
    world.serve(weeks(6), labels=True)
    found, report = look(world, at=AT)
    assert [one.metric for one in report.metrics] == ["auc", "brier"]
    assert [bool(point.measured) for point in report.series] == [True] * 5 + [False]
    assert report.sources == {"test": 5 * 1400}
    assert [(group.value, group.measured is not None) for group in report.groups] == [("a", True), ("b", True)]
    estimated = {one.metric: one for one in report.series[-1].estimated}
    assert estimated.keys() == {"auc", "brier"}
    later = look(world, at=AT + WEEK, estimates=False)[1].series[-2]
    assert later.since == report.series[-1].since
    assert not later.estimated
    realised = {one.metric: one.value for one in later.measured}
    for metric, one in estimated.items():
        assert one.low <= realised[metric] <= one.high
        assert one.overlap > 0.1
    assert report.suitability is not None
    assert found.verdicts["harm"].phase is Phase.SUCCESSFUL
    said = report_of(found.to_dict(), []).sticky
    assert any(line.startswith("| Mon 2025-10-06 | 0 |  | as evaluated: 0.8") for line in said.splitlines())
    told = found.to_dict()["performance"]
    assert len(json.dumps(told)) < 20_000
    assert (len(told["series"]), told["series"][-1]["since"]) == (6, "2025-10-06T00:00:00Z")


@pytest.mark.nightly
@pytest.mark.slow
def test_an_estimate_says_more_where_labels_are_missing_and_never_alarms(world: WatchedWorld) -> None:
    # Answers are less sure than in the evaluation, so the model is worse, as can be known without any label.
    world.serve(changed(weeks(2), 0, p=lambda some: 0.25 + some["p"] / 2), now=AT - 4 * WEEK - HOUR)
    found, report = look(world, at=AT - 4 * WEEK)
    verdict = found.verdicts["harm"]
    assert verdict.phase is Phase.INCONCLUSIVE
    one = report.series[-1].estimated[0]
    assert one.value < 0.75
    assert f"estimated auc {one.value:.4g}" in verdict.reason
    assert report.suitability is not None
    assert not report.suitability.suitable
    ran = gitml(world.root, "monitor", "--at", "2025-09-15")
    assert f"estimated, as labels are missing: auc {one.value:.4g}" in ran.out
    assert "concept drift" in ran.out
    assert "suitability filter: not surely at most 0.05 less accurate" in ran.out


@pytest.mark.slow
def test_windows_that_the_evaluation_has_nothing_like_are_inconclusive(world: WatchedWorld) -> None:
    world.serve(changed(weeks(1), 0, fare=lambda some: some["fare"] + 50), now=AT - 5 * WEEK - HOUR)
    report = look(world, at=AT - 5 * WEEK)[1]
    assert not report.series[-1].estimated
    assert "inconclusive: overlap: the evaluated rows are worth" in report.series[-1].why


def test_it_can_be_turned_off_and_says_what_is_missing(world: WatchedWorld) -> None:
    world.serve(weeks(1), now=AT - 5 * WEEK - HOUR)
    path = world.root / "gitml.yaml"
    text = path.read_text()
    path.write_text(text + "      performance: {estimate: false, metrics: [brier]}\n")
    report = look(world, at=AT - 5 * WEEK)[1]
    assert (report.series[-1].estimated, report.why) == ((), "")
    path.write_text(text)
    (world.root / "evaluated.parquet").unlink()
    assert "cannot be had" in look(world, at=AT - 5 * WEEK)[1].why
    deploy(world.root, "m.onnx", SIGNATURE)
    assert "`evaluated` of the model" in look(world, at=AT - 5 * WEEK)[1].why


@pytest.mark.slow
def test_answers_that_come_true_too_often_are_harm_though_they_rank_as_well_as_ever(world: WatchedWorld) -> None:
    def later(some: Any) -> Any:
        return np.where(np.random.default_rng(7).random(len(some)) < 0.6, 1.0, some["late"])

    world.serve(changed({day: rows(1, 100, seed=day) for day in range(35)}, 0, late=later), labels=True)
    verdict = look(world, estimates=False)[0].verdicts["harm"]
    assert verdict.phase is Phase.FAILED
    assert "since 2025-09-01, certainly off by 0." in verdict.reason
    assert verdict.measurements["apart_by"] == 0.01
    path = world.root / "gitml.yaml"
    path.write_text(path.read_text() + "      harm: {calibration: 1}\n")
    assert "certainly off" not in look(world, estimates=False)[0].verdicts["harm"].reason


def test_labels_of_another_kind_are_counted_and_left_out(world: WatchedWorld) -> None:
    world.serve(changed(weeks(2), 7, late="unknown"), labels=True, now=AT - 4 * WEEK - HOUR)
    report = look(world, at=AT - 3 * WEEK)[1]
    assert (report.unfit, sum(report.sources.values())) == (1400, 1400)


def test_a_sample_of_rows_is_kept_the_same_each_time(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(rows(10, 2_500), preserve_index=False)
    for name in ("a", "b"):
        count = write_evaluated(
            tmp_path / name, iter(table.to_batches(1_000)), (*INPUTS, "gone"), ("p",), "late", "when"
        )
        assert count == MOST_ROWS
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    kept = parquet.read_table(tmp_path / "a")
    assert kept.column_names == ["input_fare", "input_weather", "input_word", "output_p", "label", "time"]
    found = read_evaluated(tmp_path / "a", parse(SIGNATURE))
    assert not isinstance(found, str)
    assert (found[0].task, len(np.unique(found[0].rows.day))) == ("binary", 10)
    with pytest.raises(UsageError, match="no column fate"):
        write_evaluated(tmp_path / "c", iter(table.to_batches()), INPUTS, ("p",), "fate")
    (tmp_path / "torn").write_bytes((tmp_path / "a").read_bytes()[:-9])
    assert "cannot be read" in str(read_evaluated(tmp_path / "torn", parse(SIGNATURE)))


@pytest.mark.slow
def test_a_stage_keeps_evaluated_rows_with_the_reference(tmp_path: Path) -> None:
    world = build(tmp_path / "app", reference=False)
    rows(20, 50).to_parquet(world.root / "scored.parquet")
    words = ("reference", "delay", "--outputs", "scored.parquet", "--time", "when", "--label", "late")
    path = world.root / "gitml.yaml"
    assert "gitml.yaml names no evaluated" in gitml(world.root, *words).err
    path.write_text(path.read_text().replace("    better", "    evaluated: evaluated.parquet\n    better"))
    ran = gitml(world.root, *words)
    assert ran.out.splitlines()[1] == "evaluated.parquet: 1,000 evaluated rows with labels"
    assert read_evaluated(world.root / "evaluated.parquet", parse(SIGNATURE))
    path.write_text(path.read_text() + "private: [late]\n")
    assert "private" in gitml(world.root, *words).err


@pytest.mark.slow
def test_a_ranking_alone_is_inconclusive_and_says_why(world: WatchedWorld) -> None:
    world.serve(weeks(2), labels=True)
    spec = world.root / "gitml.yaml"
    spec.write_text(spec.read_text().replace("better: {auc: higher, brier: lower}", "better: {ndcg@10: higher}"))
    (found,) = monitor(world.root, MonitorCall(str(world.traffic), at=AT))
    harm = found.verdicts["harm"]
    assert harm.phase is Phase.INCONCLUSIVE
    assert "labels of single rows tell none of ndcg@10" in harm.reason
