"""Contexts held fixed: a change of their mix is reported, a change within them is drift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from gitml.errors import UsageError
from gitml.models.fields import Field
from gitml.monitoring.drift.judge import DriftPlan, judge_drift
from gitml.monitoring.drift.looks import comparable, windowed
from gitml.monitoring.drift.scan import Effect, Floors, scan_windows
from gitml.monitoring.drift.strata import mix_of, reweighted
from gitml.monitoring.promise import Promise
from gitml.monitoring.reference import Part, VersionReference, made_of
from gitml.monitoring.subject import Look, Subject
from gitml.sketches.gather import RowCounter, Source
from gitml.verdict import Phase
from monitoring.watched_world import MONDAY, WEEK

PROMISE = Promise(looks=53, columns=3, promotions=1)
SOURCE = Source({"feature_x": "x", "feature_where": "where"})


def rows(counts: Mapping[str, int], seed: int, by: float = 0.0) -> pa.Table:
    """``x`` lies higher in b than in a; ``y`` is missing more often."""
    rng = np.random.default_rng(seed)
    where = np.repeat([*counts], [*counts.values()])
    x = rng.normal(size=len(where)) + 2.0 * (where == "b") + by
    return pa.table({"x": np.where(rng.random(len(x)) < 0.1 + 0.3 * (where == "b"), np.nan, x), "where": where})


def reference(counts: Mapping[str, int]) -> VersionReference:
    return made_of(Part(rows(counts, 0), ["x"], context=["where"]), None)


def effects(made: VersionReference, live: pa.Table, *, stratified: bool = True) -> dict[str, Effect]:
    features = made.features
    assert features is not None
    windows = windowed([RowCounter(features.layout, SOURCE).of(live.to_batches())])
    compared = comparable(features, windows, stratified=stratified)
    return {effect.of: effect for effect in scan_windows(*compared, PROMISE, Floors())}


MADE = {"a": 9_000, "b": 3_000}
OTHER_MIX = {"a": 800, "b": 3_200}


def test_another_mix_alone_is_no_drift() -> None:
    made = reference(MADE)
    marginal, found = (effects(made, rows(OTHER_MIX, 1), stratified=s) for s in (False, True))
    assert marginal["values"].drifted
    assert marginal["missing"].drifted
    assert not found["values"].drifted
    assert not found["missing"].drifted
    assert found["values"].estimate < 0.04 < 0.3 < marginal["values"].estimate


def test_a_change_within_contexts_is_found_whatever_their_mix() -> None:
    found = effects(reference(MADE), rows(OTHER_MIX, 1, by=0.5))
    assert found["values"].drifted
    assert found["values"].direction > 0.1
    assert not found["missing"].drifted


def test_reference_rows_count_as_many_as_their_weights_leave() -> None:
    made = reference(MADE).features
    assert made is not None
    count = RowCounter(made.layout, SOURCE)
    half = {"a": 2_000, "b": 2_000}
    found = reweighted(made.sketch, count.of(rows(half, 1).to_batches()), "feature_x")
    assert found is not None
    mixed, known = found
    assert known.tolist() == [True, True, False]
    assert mixed.rows == pytest.approx(1 / (0.25 / 9_000 + 0.25 / 3_000))
    assert mixed.least_rows == pytest.approx(6_000)
    assert mixed.cells.sum() == pytest.approx(1)
    assert mixed.missing == pytest.approx(0.25, abs=0.02)
    same = reweighted(made.sketch, made.sketch, "feature_x")
    assert same is not None
    cells = made.sketch.columns["feature_x"].cells.sum(axis=0)
    assert np.allclose(same[0].cells, cells / cells.sum())
    assert same[0].rows == pytest.approx(12_000) == same[0].least_rows


def test_the_mix_is_said_and_contexts_that_are_hardly_known() -> None:
    made = reference({**MADE, "rare": 20}).features
    assert made is not None
    live = RowCounter(made.layout, SOURCE).of(rows({**OTHER_MIX, "rare": 300, "new": 700}, 1).to_batches())
    mix = mix_of(made, live)
    assert mix is not None
    assert mix.unknown == pytest.approx(0.2)
    assert str(mix).startswith("59% of rows moved between contexts (feature_where), most: where a 74.9% → 16.0%; 20%")
    assert mix_of(made, RowCounter(made.layout, SOURCE).nothing()) is None


def verdict_of(live: Mapping[str, int], by: float = 0.0) -> tuple[Phase, str, Mapping[str, object]]:
    made = reference({"a": 90_000, "b": 30_000})
    assert made.features is not None
    fields = {"feature_x": Field("x", "float64", None, True)}
    subject = Subject(fields, fields, made.features.layout, made)
    sketch = RowCounter(subject.layout, SOURCE).of(rows(live, 1, by).to_batches())
    looks = [Look(MONDAY, MONDAY + WEEK, sketch)]
    verdict, _ = judge_drift(subject, looks, DriftPlan(PROMISE, clusters=(), stratified=True))
    return verdict.phase, verdict.reason, verdict.measurements


def test_the_verdict_tells_the_mix_and_is_not_led_by_it() -> None:
    phase, _, measured = verdict_of({"a": 4_000, "b": 16_000})
    assert phase is Phase.SUCCESSFUL
    assert measured["context moved"] == pytest.approx(0.55)
    assert verdict_of({"a": 4_000, "b": 16_000}, by=0.6)[:2] == (Phase.FAILED, "x has drifted")


def test_rows_without_anything_to_compare_with_are_no_success() -> None:
    phase, reason, measured = verdict_of({"a": 8_000, "b": 8_000, "new": 12_000})
    assert phase is Phase.INCONCLUSIVE
    assert reason == "43% of rows have a context (feature_where) that the reference hardly has"
    assert measured["context unknown"] == pytest.approx(3 / 7)
    assert verdict_of({"new": 6_000})[0] is Phase.INCONCLUSIVE


def test_outputs_are_counted_by_the_contexts_of_the_features() -> None:
    features = Part(rows(MADE, 0), ["x"], context=["where"])
    answers = rows({"b": 500, "a": 100}, 2).rename_columns(["p", "where"])
    made = made_of(features, Part(answers, ["p"], context=["where"]))
    assert made.features is not None
    assert made.outputs is not None
    assert made.outputs.layout.strata == made.features.layout.strata == (("a",), ("b",))
    with pytest.raises(UsageError, match="no column where"):
        made_of(features, Part(answers.select(["p"]), ["p"], context=["where"]))
    with pytest.raises(UsageError, match="no column hour"):
        made_of(Part(rows(MADE, 0), ["x"], context=["hour"]), None)
