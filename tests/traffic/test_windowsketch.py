"""Sketches of windows: repeated to the byte at a moment, kept beside the data, never used when stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gitml.engines.places import place_of
from gitml.errors import UsageError
from gitml.sketches.form import sketch_bytes
from gitml.sketches.gather import RowCounter
from gitml.sketches.layout import Layout
from gitml.sketches.reference import reference_of
from gitml.sketches.sketch import Sketch
from gitml.traffic import compaction, windowsketch
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from gitml.traffic.reader import Window, rows_once
from gitml.traffic.windowsketch import CountedRows, sketch_of_window

NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC
DAY = 86_400.0
MIDNIGHT = datetime(2025, 11, 25, tzinfo=UTC)
ARM = Arm("delay", "production", "champion", "v1", 100.0, "e1")
HERE = CountedRows("production", "v1")


def exchange(name: str, x: float, *, when: float = NOON, **changes: object) -> Exchange:
    whole = Exchange(
        name, "", "N1", ARM, {"x": np.array([x]), "word": np.array(["a"])}, {"p": np.array([0.5])}, 0.1, when, when
    )
    return whole._replace(**changes)


def write(folder: Path, *exchanges: Exchange, now: float) -> None:
    log = PredictionLog(folder, limits=LogLimits(window=0.01), origin=LogOrigin("web", "production", now=lambda: now))
    for each in exchanges:
        log.put(each)
    log.close()


@pytest.fixture(scope="module")
def layout() -> Layout:
    rng = np.random.default_rng(0)
    table = pa.record_batch(
        {"feature_x": rng.normal(size=200), "feature_word": rng.choice(np.array(["a", "b"]), 200).tolist(),
         "output_p": rng.random(200)}
    )  # fmt: skip
    return reference_of(lambda: iter([table]), table.schema.names).layout


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def window(days: int = 1, *, at: float = NOON + 3 * DAY) -> Window:
    return Window(MIDNIGHT, MIDNIGHT + timedelta(days=days), moment(at))


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "sketches").rglob("*.json"))


def taken(folder: Path, wanted: Window, layout: Layout) -> bytes:
    return sketch_bytes(sketch_of_window(folder, "delay", wanted, layout, HERE))


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    reads: list[Window] = []

    def counting(folder: Path, model: str, window: Window, **options: object) -> object:
        reads.append(window)
        return rows_once(folder, model, window, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(windowsketch, "rows_once", counting)
    return reads


def test_a_window_counts_answers_of_the_version_and_routes_of_all(tmp_path: Path, layout: Layout) -> None:
    failed = {"features": {}, "output": {}, "outcome": "failed", "reason": "model"}
    several = {"features": {"x": np.arange(3.0), "word": np.array(["a", "b", "c"])}, "output": {"p": np.ones(3)}}
    write(
        tmp_path,
        exchange("a", 0.1),
        exchange("b", 0.2, arm=ARM._replace(name="canary")),
        exchange("c", 0.3, arm=ARM._replace(name="canary", version="v2")),
        exchange("d", 0.4, arm=ARM._replace(name="shadow")),
        exchange("e", 0.5, arm=ARM._replace(environment="staging")),
        exchange("f", 0.0, **failed),
        exchange("g", 0.0, **several),
        exchange("late", 0.6, when=NOON + DAY),
        now=NOON,
    )
    found = sketch_of_window(tmp_path, "delay", window(), layout, HERE)
    assert found.counts("feature_x").rows == 5
    assert found.counts("feature_word").cells.tolist() == [1, 3, 1]
    assert found.hours == {(int(NOON // 3600), 0): 5}
    assert found.routes == {
        ("champion", "v1", "ok"): (4, 2),
        ("canary", "v1", "ok"): (1, 1),
        ("canary", "v2", "ok"): (1, 1),
        ("shadow", "v1", "ok"): (1, 1),
        ("champion", "v1", "failed"): (1, 1),
    }


def test_at_a_moment_the_bytes_repeat_whatever_comes_is_merged_or_deleted(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        late = {"features": {"x": np.array([1.0])}} if number % 2 else {}
        write(tmp_path, exchange(f"r{number}", number / 5, **late), now=NOON + number)
    before = taken(tmp_path, window(), layout)
    assert len(kept(tmp_path)) == 1
    write(tmp_path, exchange("later", 3.0), now=NOON + 5 * DAY)
    assert taken(tmp_path, window(), layout) == before
    assert len(kept(tmp_path)) == 1, "a later row changes nothing of what was known"
    after = taken(tmp_path, window(at=NOON + 6 * DAY), layout)
    assert after != before
    assert len(kept(tmp_path)) == 2
    monkeypatch.setattr(compaction, "MANY", 2)
    compaction.compact(place_of(tmp_path / "predictions"), tmp_path / ".spool/predictions")
    reads = count_reads(monkeypatch)
    assert (taken(tmp_path, window(), layout), taken(tmp_path, window(at=NOON + 6 * DAY), layout)) == (before, after)
    assert reads == []
    for path in kept(tmp_path):
        path.unlink()
    assert (taken(tmp_path, window(), layout), taken(tmp_path, window(at=NOON + 6 * DAY), layout)) == (before, after)
    assert len(reads) == 2


def test_days_add_up_to_the_week_and_are_kept_when_they_are_over(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(4):
        same = exchange("again", 1.0, when=NOON + day * DAY)  # one id, asked again each day: the first counts
        write(tmp_path, exchange(f"d{day}", day, when=NOON + day * DAY), same, now=NOON + day * DAY)
    reads = count_reads(monkeypatch)
    week = Window(MIDNIGHT + timedelta(hours=6), MIDNIGHT + timedelta(days=4), moment(NOON + 3.2 * DAY))
    whole = sketch_of_window(tmp_path, "delay", week, layout, HERE)
    assert whole.counts("feature_x").rows == 5
    assert (len(kept(tmp_path)), len(reads)) == (4 - 1, 1), "the last day may still grow"
    plain = RowCounter(layout).of(b for b in rows_once(tmp_path, "delay", week))
    assert whole.counts("feature_x").cells.tolist() == plain.counts("feature_x").cells.tolist()
    sketch_of_window(tmp_path, "delay", week, layout, HERE)
    assert [read.since for read in reads[1:]] == [MIDNIGHT + timedelta(days=3)]


@pytest.mark.parametrize("spoil", ["torn", "edited", "another", "empty"])
def test_a_kept_sketch_that_was_changed_is_not_used(tmp_path: Path, layout: Layout, spoil: str) -> None:
    write(tmp_path, exchange("a", 0.1), now=NOON)
    before = taken(tmp_path, window(), layout)
    (path,) = kept(tmp_path)
    raw = path.read_bytes()
    other = path.with_name(f"{'0' * 64}.json")
    spoilt = {"torn": raw[:-9], "edited": raw.replace(b'"unfit":0', b'"unfit":7'), "another": raw, "empty": b""}
    if spoil == "another":
        path.rename(other)
        path.write_bytes(raw.replace(path.stem.encode(), other.stem.encode()))
    else:
        path.write_bytes(spoilt[spoil])
    assert taken(tmp_path, window(), layout) == before


def test_another_reference_version_or_cut_is_another_file(tmp_path: Path, layout: Layout) -> None:
    write(tmp_path, exchange("a", 0.1), now=NOON)
    fewer = Layout({"feature_x": layout.columns["feature_x"]})
    found: list[Sketch] = [
        sketch_of_window(tmp_path, "delay", window(), layout, HERE),
        sketch_of_window(tmp_path, "delay", window(), fewer, HERE),
        sketch_of_window(tmp_path, "delay", window(), layout, CountedRows("production", "v2")),
        sketch_of_window(tmp_path, "delay", window(at=NOON + 30), layout, HERE),
    ]
    assert [int(each.rows.sum()) for each in found] == [1, 1, 0, 0]
    assert len(kept(tmp_path)) == 3, "the day was not over at the last cut"


def test_who_may_only_read_counts_anew(tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, exchange("a", 0.1), now=NOON)
    (tmp_path / "sketches").write_text("in the way")
    assert taken(tmp_path, window(), layout) == taken(tmp_path, window(), layout)
    with pytest.raises(UsageError, match="later end"):
        taken(tmp_path, Window(MIDNIGHT, MIDNIGHT), layout)


def test_without_a_moment_all_that_is_there_counts_and_nothing_is_kept(tmp_path: Path, layout: Layout) -> None:
    log = PredictionLog(tmp_path, limits=LogLimits(window=0.01))
    log.put(exchange("a", 0.1))
    assert log.flush()
    wanted = Window(MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert sketch_of_window(tmp_path, "delay", wanted, layout, HERE).counts("feature_x").rows == 1
    log.close()
    ahead = Window(MIDNIGHT, MIDNIGHT + timedelta(days=1), datetime.now(UTC) + timedelta(days=1))
    assert sketch_of_window(tmp_path, "delay", ahead, layout, HERE).counts("feature_x").rows == 1
    assert kept(tmp_path) == []
