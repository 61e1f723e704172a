"""Rows as columns: words, missing values, keys that are the same in every process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.models.fields import Field
from gitml.rollout.metrics import METRICS, events_in
from gitml.rollout.observed import Observed, TimedInfluence, contrasts_over_time
from gitml.rollout.rowtable import ANSWERED, DROPPED, FAILED, OTHER, Encoders, table_of
from gitml.rollout.unitkeys import keys_of_texts
from gitml.stats.influence import mean
from gitml.stats.rowlosses import right

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def batch(**columns: list[object]) -> pa.RecordBatch:
    count = len(next(iter(columns.values())))
    whole: dict[str, object] = {
        "request_id": [f"r{n}" for n in range(count)], "caller": pa.nulls(count, pa.string()), "row": [0] * count,
        "unit": pa.nulls(count, pa.string()), "epoch": ["e"] * count, "outcome": ["ok"] * count,
        "latency_ms": [1.0] * count, "arrived": pa.array([NOON] * count, pa.timestamp("us", "UTC")),
        "label": pa.nulls(count, pa.float64()), "label_text": pa.nulls(count, pa.string()),
        "label_source": pa.nulls(count, pa.string()), "label_arrived": pa.nulls(count, pa.timestamp("us", "UTC")),
    }  # fmt: skip
    return pa.record_batch({**whole, **columns})


def test_classes_that_are_words_are_compared_as_such() -> None:
    given_words = batch(output_kind=["cat", "dog", None, "cat"], label_text=["cat", "cat", "dog", "bird"])
    found = table_of(given_words, Field("kind", "string"), Encoders.empty())
    known = np.isfinite(found.predicted)
    assert known.tolist() == [True, True, False, True]
    assert right(found.truth[known], found.predicted[known]).tolist() == [1.0, 0.0, 0.0]


def test_answers_that_are_no_numbers_are_missing() -> None:
    found = table_of(batch(output_p=[0.5, float("nan"), None, float("inf")]), Field("p", "float64"), Encoders.empty())
    assert np.isnan(found.predicted).tolist() == [False, True, True, True]
    told = table_of(batch(output_b=[True, False]), Field("b", "bool"), Encoders.empty())
    assert told.predicted.tolist() == [1.0, 0.0]
    assert np.isnan(table_of(batch(row=[0]), Field("p", "float64"), Encoders.empty()).predicted).all()


def test_outcomes_that_callers_bring_about_are_no_failures() -> None:
    words = ["ok", "failed", "timed out", "busy", "dropped", "invalid", "refused"]
    found = table_of(batch(outcome=words, output_p=[0.1] * 7), Field("p", "float64"), Encoders.empty())
    assert found.outcome.tolist() == [ANSWERED, FAILED, FAILED, FAILED, DROPPED, OTHER, OTHER]


def test_rows_of_a_request_are_one_unit_unless_it_names_one() -> None:
    found = table_of(
        batch(request_id=["a", "a", "b", "c"], row=[0, 1, 0, 0], unit=[None, None, "u", "u"]),
        Field("p", "float64"),
        Encoders.empty(),
    )
    assert found.unit[0] == found.unit[1]
    assert found.unit[2] == found.unit[3]
    assert len(set(found.pair.tolist())) == 4
    assert found.named.tolist() == [False, False, True, True]


def test_keys_are_the_same_in_another_process() -> None:
    code = (
        "import pyarrow as pa; from gitml.rollout.unitkeys import keys_of_texts as k;"
        "print(k(pa.array(['ada', '', 'é' * 40, None])).tolist())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(keys_of_texts(pa.array(["ada", "", "é" * 40, None])).tolist())


@given(st.lists(st.text(max_size=30) | st.none(), max_size=40))
def test_equal_texts_alone_have_equal_keys(texts: list[str | None]) -> None:
    texts = [t if t is None else t.encode("utf-8", "replace").decode() for t in texts]
    keys = keys_of_texts(pa.array(["pad", *texts, "pad"], pa.string()).slice(1, len(texts))).tolist()
    assert len(set(keys)) == len(set(texts))
    assert [key == 0 for key in keys] == [text is None for text in texts]


def test_the_rarer_class_counts_as_events() -> None:
    truth, predicted = np.array([1.0, 0, 0, 0]), np.array([0.9, 0.1, 0.8, 0.2])
    assert [events_in(METRICS[name], truth, predicted) for name in ("auc", "accuracy", "mae")] == [1, 1, 4]


def test_the_sequence_ends_at_the_contrast_that_is_judged() -> None:
    rng = np.random.default_rng(0)

    def arm(first: int) -> TimedInfluence:
        unit = np.sort(rng.integers(0, 300, 2_000)) + first
        known = np.concatenate([np.sort(rng.integers(0, 1_000, c)) for c in np.bincount(unit - first)])
        return TimedInfluence(mean(unit, (rng.random(2_000) < 0.3).astype(float)), known)

    observed = Observed(((arm(0), arm(1_000)),), paired=False)
    whole = observed.contrast
    assert whole is not None
    early, late = contrasts_over_time(observed, whole, np.array([300, 1_000]))
    assert early is not None
    assert late is not None
    assert late.difference == pytest.approx(whole.difference)
    assert late.error == pytest.approx(whole.error, rel=0.01)
    assert early.error == pytest.approx(whole.error / 0.3**0.5, rel=0.5)
    assert late.units == whole.units
