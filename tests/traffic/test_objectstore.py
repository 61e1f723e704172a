"""The traffic on a real S3 server on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gitml import clock
from gitml.engines.places import place_of
from gitml.sketches.grids import NumberGrid
from gitml.sketches.layout import Layout
from gitml.traffic import compaction
from gitml.traffic.batches import BatchLog, BatchOrigin
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.housekeeping import keep_house
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.marks import completeness
from gitml.traffic.predictionlog import LogLimits, PredictionLog
from gitml.traffic.reader import Window, requests
from gitml.traffic.windowsketch import sketch_of_window
from objectstore import folder_url, object_store

NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC
ARM = Arm("delay", "production", "champion", "v1", 100.0, "e1")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """URL of an empty bucket."""
    with object_store("traffic") as port:
        yield folder_url("traffic", port)


def exchange(number: int) -> Exchange:
    x, p = {"x": np.array([number])}, {"p": np.array([0.5])}
    return Exchange(f"r-{number}", "", None, ARM, x, p, 0.1, NOON, NOON)


@pytest.mark.slow
@pytest.mark.nightly
def test_hosts_ship_to_a_bucket_merge_there_and_are_read_once(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("a", "b"):
        log = PredictionLog(store, spool=tmp_path / host, limits=LogLimits(window=0.01, roll_seconds=0.05))
        for number in range(6):
            log.put(exchange(number if host == "a" else 100 + number))
            time.sleep(0.1)
        log.close(30)
        assert not list((tmp_path / host / "predictions").glob("*.journal"))
    labels = LabelStore(store, spool=tmp_path / "a")
    labels.add("delay", [Label("r-3", 1.0)])
    labels.close()
    expected = {**{f"r-{n}": None for n in (*range(6), *range(100, 106))}, "r-3": 1.0}

    def found() -> dict[str, float | None]:
        read = [r for batch in requests(store, "delay", spool=tmp_path / "a") for r in batch.to_pylist()]
        assert len(read) == 12
        return {r["request_id"]: r["label"] for r in read}

    assert found() == expected
    many = len((place_of(store) / "predictions").files())
    monkeypatch.setattr(compaction, "MANY", 2)
    compaction.compact(place_of(store) / "predictions", tmp_path / "a" / "predictions")
    assert len((place_of(store) / "predictions").files()) < many
    assert found() == expected
    now = datetime.now(UTC)
    told = completeness(store, now - timedelta(minutes=5), now, at=now + timedelta(minutes=2))
    assert told.state == "complete"
    monkeypatch.setenv(clock.VARIABLE, str(tmp_path / "clock"))
    (tmp_path / "clock").write_text("1d")
    noon = datetime.fromtimestamp(NOON, UTC)
    window = Window(noon - timedelta(hours=1), noon + timedelta(hours=1), clock.now())
    layout = Layout({"feature_x": NumberGrid((50.0,), (0, 1))})
    for kept in (0, 1):
        assert len((place_of(store) / "sketches").files()) == kept
        sketch = sketch_of_window(store, "delay", window, layout)
        assert sketch.counts("feature_x").cells.tolist() == [6, 6]
    keep_house(place_of(store), (now + timedelta(days=3)).timestamp(), None)
    assert len((place_of(store) / "hosts").files()) == 1
    told = completeness(store, now - timedelta(minutes=5), now, at=now + timedelta(minutes=2))
    assert (told.state, len(told.hosts)) == ("complete", 1)
    with BatchLog(store, BatchOrigin("delay", "v1", "production", "champion"), tmp_path / "a") as batches:
        some = pa.record_batch({"feature_x": [1.0, 2.0], "output_p": [0.1, 0.2]})
        assert [batches.add("b" * 64, 2, lambda: iter([some])) for _ in range(2)] == [True, False]
    read = [r for batch in requests(store, "delay") for r in batch.to_pylist()]
    assert sorted(r["row"] for r in read if r["request_id"].startswith("batch-")) == [0, 1]
    later = (clock.now() + timedelta(days=2)).timestamp()
    compaction.compact(
        place_of(store) / "predictions", tmp_path / "a" / "predictions", now=lambda: later, keep=timedelta(days=1)
    )
    assert (place_of(store) / "predictions").files() == []
