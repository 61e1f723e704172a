"""Live distances: what passes by to the log is counted by version, and forgotten after a day."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gitml.sketches.gather import Source
from gitml.sketches.reference import ReferenceSketch, reference_of
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.livesketch import LiveSketches
from gitml.traffic.predictionlog import LogOrigin, PredictionLog

NOON = 1_772_366_400.0
RNG = np.random.default_rng(5)
TRAINED = pa.table({"fare": RNG.normal(size=4000), "word": RNG.choice(["a", "b"], 4000)})


class Clock:
    """It says what it is told to."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def reference() -> ReferenceSketch:
    names = {"feature_fare": "fare", "feature_word": "word"}
    return reference_of(lambda: iter(TRAINED.to_batches()), [*names], Source(names))


def exchange(fare: float, word: str, version: str = "v1", arm: str = "champion", outcome: str = "ok") -> Exchange:
    features = {"fare": np.array([fare]), "word": [word]}
    named = Arm("delay", "production", arm, version)
    return Exchange("r", "", None, named, features, {"p": [0.5]}, 0.001, NOON, NOON, 100, outcome)


def put(folder: Path, live: LiveSketches, now: Clock, *events: Exchange) -> None:
    with closing(PredictionLog(folder, origin=LogOrigin(now=now), seen=live)) as log:
        for event in events:
            assert log.put(event)
        assert log.flush()


def test_the_distance_is_that_of_answered_rows_of_the_version(tmp_path: Path, reference: ReferenceSketch) -> None:
    live, now = LiveSketches(lambda: NOON), Clock()
    live.expect("delay", {"v1": (reference,), "v2": ()})
    rows = [exchange(f, "a") for f in RNG.normal(size=600) + 2]
    others = [exchange(9.0, "b", "v2"), exchange(9.0, "b", arm="shadow"), exchange(9.0, "b", outcome="failed")]
    put(tmp_path, live, now, *rows, *(event for event in others for _ in range(200)))
    found = {one.column: one for one in live.distances()}
    assert {(one.model, one.version, one.rows) for one in found.values()} == {("delay", "v1", 600)}
    # Two normal distributions 2 σ apart: 2 Φ(1) - 1.
    assert found["feature_fare"].distance == pytest.approx(0.683, abs=0.05)
    assert found["feature_word"].distance == pytest.approx(0.5, abs=0.03)


def test_a_handful_of_rows_says_nothing_and_a_day_later_all_is_forgotten(
    tmp_path: Path, reference: ReferenceSketch
) -> None:
    now = Clock()
    live = LiveSketches(now)
    live.expect("delay", {"v1": (reference,)})
    put(tmp_path / "one", live, now, *(exchange(0.0, "a") for _ in range(60)))
    assert not [*live.distances()]
    now.now += 3600
    put(tmp_path / "two", live, now, *(exchange(0.0, "a") for _ in range(60)))
    assert [one.rows for one in live.distances()] == [120, 120]
    now.now += 23 * 3600
    assert not [*live.distances()]


def test_a_version_that_goes_on_keeps_its_counts_and_one_that_left_is_forgotten(
    tmp_path: Path, reference: ReferenceSketch
) -> None:
    live, now = LiveSketches(lambda: NOON), Clock()
    live.expect("delay", {"v1": (reference,)})
    put(tmp_path / "one", live, now, *(exchange(0.0, "a") for _ in range(150)))
    live.expect("delay", {"v1": (reference,), "v2": (reference,)})
    live.expect("other", {"v9": (reference,)})
    assert {one.version for one in live.distances()} == {"v1"}
    put(tmp_path / "two", live, now, *(exchange(0.0, "a", "v2", "canary") for _ in range(150)))
    assert {one.version for one in live.distances()} == {"v1", "v2"}
    live.expect("delay", {"v2": (reference,)})
    assert {one.version for one in live.distances()} == {"v2"}
