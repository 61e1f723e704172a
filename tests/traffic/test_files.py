"""Rows in files: merging changes nothing that a reader sees, a kill loses nothing that is a second old, old formats."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from gitml.engines.places import StoragePlace, place_of
from gitml.traffic import compaction, files
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from gitml.traffic.reader import Window, requests
from gitml.traffic.spool import Spool
from gitml.traffic.tabling import batches_of

NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC
ARM = Arm("delay", "production", "champion", "v1", 100.0, "e1")


def exchange(number: int, *, when: float = NOON, **changes: object) -> Exchange:
    whole = Exchange(f"r-{number}", "", None, ARM, {"x": np.array([number])}, {"p": np.array([0.5])}, 0.1, when, when)
    return whole._replace(**changes)


def write(folder: Path, *exchanges: Exchange, now: float | None = None, **origin: object) -> None:
    clock = time.time if now is None else lambda: now
    log = PredictionLog(
        folder, limits=LogLimits(window=0.01), origin=LogOrigin("web", "production", now=clock, **origin)
    )
    for each in exchanges:
        log.put(each)
    log.close()


def ids(folder: Path, window: Window | None = None) -> list[str]:
    return [i for batch in requests(folder, "delay", window) for i in batch["request_id"].to_pylist()]


def parquets(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "predictions").rglob("*.parquet"))


def test_merging_changes_no_row_no_order_and_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SETTLE", 0.0)
    monkeypatch.setattr(compaction, "MANY", 1000)
    for number in range(12):
        later = exchange(100 + number, features={"y": np.array(["b"])}) if number % 3 == 0 else exchange(50 + number)
        write(tmp_path, exchange(number), later, now=NOON + number)
    at = datetime.fromtimestamp(NOON + 6.5, UTC)
    before = [batch.to_pylist() for batch in requests(tmp_path, "delay")]
    cut = [batch.to_pylist() for batch in requests(tmp_path, "delay", Window(at=at))]
    assert sum(map(len, cut)) == 14, "what was published later is not known at the moment"
    many = len(parquets(tmp_path))
    monkeypatch.setattr(compaction, "MANY", 2)
    compaction.compact(place_of(tmp_path / "predictions"), tmp_path / ".spool/predictions")
    compaction.compact(place_of(tmp_path / "predictions"), tmp_path / ".spool/predictions")
    assert len(parquets(tmp_path)) < many / 5
    same = [batch.to_pylist() for batch in requests(tmp_path, "delay")] == before
    assert same
    same = [batch.to_pylist() for batch in requests(tmp_path, "delay", Window(at=at))] == cut
    assert same


def test_a_server_looks_at_all_days_once_a_day_and_at_those_that_it_wrote_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    real = StoragePlace.files
    monkeypatch.setattr(StoragePlace, "files", lambda self: listed.append(self.name) or real(self))
    now = [NOON]
    spool = Spool.open(tmp_path, "predictions", now=lambda: now[0])
    for hour, day in ((0, 0), (1, 0), (2, 0), (24, 1)):
        now[0] = NOON + hour * 3600
        (batch,) = (b for _, b in batches_of([exchange(hour, when=NOON + day * 86_400)]))
        spool.append(batch)
        spool.hand_over()
        spool.tidy()
        spool.tidy()
    one, whole = "date=2025-11-25", "predictions"
    assert listed == [whole, one, one, whole]


def test_a_compaction_that_is_killed_anywhere_loses_no_row_and_shows_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        write(tmp_path, exchange(number))
    monkeypatch.setattr(compaction, "MANY", 2)
    real, left = compaction._delete, iter(range(3))

    def killed(day: object, names: list[str]) -> None:
        real(day, names[: next(left)])
        raise KeyboardInterrupt

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(compaction, "_delete", killed)
            with pytest.raises(KeyboardInterrupt):
                compaction.compact(place_of(tmp_path / "predictions"), tmp_path / ".spool/predictions")
        assert sorted(ids(tmp_path)) == [f"r-{n}" for n in range(6)]
    compaction.compact(place_of(tmp_path / "predictions"), tmp_path / ".spool/predictions")
    assert sorted(ids(tmp_path)) == [f"r-{n}" for n in range(6)]
    assert len(parquets(tmp_path)) == 1


def test_a_reader_whose_files_are_merged_meanwhile_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write(tmp_path, exchange(number))
    reading = requests(tmp_path, "delay")
    first = next(reading)["request_id"].to_pylist()
    monkeypatch.setattr(compaction, "MANY", 2)
    compaction.compact(place_of(tmp_path / "predictions"), tmp_path / ".spool/predictions")
    assert len(parquets(tmp_path)) == 1
    rest = [i for batch in reading for i in batch["request_id"].to_pylist()]
    assert sorted(first + rest) == [f"r-{n}" for n in range(5)]


def test_days_that_are_too_old_are_deleted(tmp_path: Path) -> None:
    write(tmp_path, exchange(1, when=NOON - 40 * 86400), exchange(2), now=NOON)
    write(tmp_path, exchange(3), now=NOON, keep=timedelta(days=30))
    assert sorted(ids(tmp_path)) == ["r-2", "r-3"]


SERVER = """
import sys, time
import numpy as np
from gitml.traffic import compaction
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.predictionlog import LogLimits, PredictionLog
compaction.MANY = 3
def say(line):  # in one write, because two threads do
    sys.stdout.write(line + chr(10))
    sys.stdout.flush()
def slowly(*_, real=compaction._concatenate):
    say("merging")
    time.sleep(1.5)
    real(*_)
compaction._concatenate = slowly
log = PredictionLog(sys.argv[1], limits=LogLimits(window=0.1, roll_seconds=0.2))
number = 0
while True:
    now = time.time()
    log.put(Exchange(f"r-{number}", "", None, Arm("delay"), {"x": np.array([number])}, {"p": np.array([0.5])}, 0.001,
                     now, now))
    say(f"{number} {now}")
    number += 1
    time.sleep(0.002)
"""


@pytest.mark.slow
@pytest.mark.nightly
def test_a_server_killed_while_files_are_merged_loses_nothing_that_is_a_second_old(tmp_path: Path) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    said: list[tuple[str, float]] = []
    merging = 0.0
    while not merging or time.time() < merging + 1.3:  # the merge lasts longer
        line = server.stdout.readline().split()
        if line == ["merging"]:
            merging = merging or time.time()
        else:
            said.append((line[0], float(line[1])))
    killed = time.time()
    os.kill(server.pid, signal.SIGKILL)
    server.communicate()
    safe = {f"r-{number}" for number, when in said if when < killed - 1.0}
    during = {f"r-{number}" for number, when in said if merging + 0.05 < when < killed - 1.0}
    assert during, "some came while the merge went on"
    found = ids(tmp_path)
    assert safe <= set(found)
    PredictionLog(tmp_path).close()
    again = ids(tmp_path)
    assert len(again) == len(set(again)), "no row twice"
    assert set(found) <= set(again)


def old_batch(*numbers: int) -> pa.RecordBatch:
    """As the release before wrote it."""
    count = len(numbers)
    moment = pa.array([int(NOON * 1e6)] * count, pa.timestamp("us", tz="UTC"))
    columns = {
        "request_id": [f"r-{n}" for n in numbers], "row": pa.array([0] * count, pa.int32()), "unit": ["N1"] * count,
        "variant": ["canary"] * count, "version": ["v1"] * count, "latency_ms": pa.array([250.0] * count, pa.float32()),
        "time": moment, "feature_x": list(numbers), "output_p": [0.5] * count,
    }  # fmt: skip
    return pa.record_batch(columns)


def test_files_journals_labels_and_notes_of_format_1_are_still_read(tmp_path: Path) -> None:
    day = tmp_path / "predictions/model=delay/date=2025-11-25"
    day.mkdir(parents=True)
    parquet.write_table(pa.Table.from_batches([old_batch(1, 2)]), day / "20251125T115900Z-0c1f2a3b4d5e-0.parquet")
    parquet.write_table(pa.Table.from_batches([old_batch(3)]), day / ".merged-x.parquet")
    parquet.write_table(pa.Table.from_batches([old_batch(3)]), day / "20251125T110000Z-000000000000-0.parquet")
    spool = tmp_path / ".spool/predictions"
    spool.mkdir(parents=True)
    (spool / "compact-1.json").write_text(
        '{"day": "model=delay/date=2025-11-25", "from": ["20251125T110000Z-000000000000-0.parquet"],'
        ' "hidden": ".merged-x.parquet", "to": "20251125T110000Z-merged0c1f2a3b4d5e-0.parquet"}'
    )
    sink = pa.BufferOutputStream()
    batch = old_batch(4).replace_schema_metadata({b"model": b"delay", b"date": b"2025-11-25"})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    raw = bytes(sink.getvalue())
    head = struct.pack("<4sQI", b"GJ1\n", len(raw), zlib.crc32(raw))
    (spool / "20251125T120000Z-111111111111.journal").write_bytes(head + raw)
    labels = tmp_path / "labels/model=delay/date=2025-11-25"
    labels.mkdir(parents=True)
    told = {"request_id": ["r-1"], "row": pa.array([0], pa.int32()), "label": [1.0],
            "label_text": pa.array([None], pa.string()), "order": [int(NOON * 1e9)]}  # fmt: skip
    parquet.write_table(pa.table(told), labels / "20251125T120000Z-222222222222-0.parquet")
    for _ in range(2):
        rows = {row["request_id"]: row for batch in requests(tmp_path, "delay") for row in batch.to_pylist()}
        assert set(rows) == {"r-1", "r-2", "r-3", "r-4"}
        noon = datetime.fromtimestamp(NOON, UTC)
        one = rows["r-1"]
        assert (one["arm"], one["outcome"], one["answered"], one["label"]) == ("canary", "ok", noon, 1.0)
        assert one["arrived"] == noon - timedelta(milliseconds=250)
        assert rows["r-4"]["feature_x"] == 4
        PredictionLog(tmp_path).close()
    assert not list(spool.iterdir())
