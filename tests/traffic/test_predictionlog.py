"""The prediction log against kills, full disks, clocks and two servers at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from gitml.engines.places import StoragePlace, place_of
from gitml.errors import UsageError
from gitml.traffic import compaction
from gitml.traffic.exchange import Arm
from gitml.traffic.journal import Journal, frames, take_over
from gitml.traffic.predictionlog import Encoded, Exchange, LogLimits, LogOrigin, PredictionLog

NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC
QUICK = LogLimits(window=0.02)


def event(number: int, *, rows: int = 1, when: float = NOON, version: str = "v1", **changes: object) -> Exchange:
    features = {"carrier": np.array(["UA"] * rows, dtype=object), "distance": np.arange(rows) + number}
    fields = {"features": features, "output": {"p_late": np.full(rows, 0.25)}, **changes}
    arm = Arm("delay", "production", "champion", version, 100.0, "e1")
    common = {"request_id": f"r-{number}", "caller": "", "unit": "N1", "arm": arm, "latency": 0.002}
    return Exchange(**{**common, "arrived": when, "answered": when, **fields})


def table(folder: Path) -> pa.Table:
    found = dataset.dataset(folder / "predictions", partitioning="hive", format="parquet")
    return found.to_table().sort_by([("request_id", "ascending"), ("row", "ascending")])


def ids(folder: Path) -> list[str]:
    return sorted(table(folder)["request_id"].to_pylist()) if (folder / "predictions").exists() else []


def test_what_is_put_is_read_back_by_any_reader_of_partitioned_parquet(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=QUICK, origin=LogOrigin("web-1"))
    assert log.put(event(1, rows=3))
    assert log.put(event(2, when=NOON + 86400, unit=None))
    log.close()
    found = table(tmp_path).to_pylist()
    assert [(r["request_id"], r["row"]) for r in found] == [("r-1", 0), ("r-1", 1), ("r-1", 2), ("r-2", 0)]
    noon = datetime.fromtimestamp(NOON, UTC)
    assert found[1] == {
        "request_id": "r-1", "caller": None, "row": 1, "rows": 3, "unit": "N1", "environment": "production",
        "host": "web-1", "arm": "champion", "version": "v1", "weight": 100.0, "epoch": "e1", "outcome": "ok",
        "reason": None, "latency_ms": 2.0, "arrived": noon, "answered": noon, "feature_carrier": "UA",
        "feature_distance": 2, "output_p_late": 0.25, "model": "delay", "date": "2025-11-25",
    }  # fmt: skip
    assert (found[3]["date"], found[3]["unit"]) == ("2025-11-26", None)
    assert (log.stats().kept, log.stats().dropped, log.stats().pending, log.stats().error) == (4, 0, 0, "")


def test_a_column_of_several_dimensions_and_missing_values_keep_their_meaning(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=QUICK)
    features = {"age": np.array([1.5, np.nan]), "word": np.array(["x", None], dtype=object), "pixels": np.eye(2)}
    log.put(event(1, features=features, output={"p": np.array([np.nan, 1.0])}))
    log.close()
    found = table(tmp_path)
    assert found["feature_age"].to_pylist() == [1.5, None]
    assert found["feature_word"].to_pylist() == ["x", None]
    assert found["feature_pixels"].to_pylist() == [[1.0, 0.0], [0.0, 1.0]]
    assert np.isnan(found["output_p"].to_pylist()[0]), "an answer that is no number is not the same as none"


def test_encoded_rows_become_columns_when_there_is_time_for_it(tmp_path: Path) -> None:
    def decode(rows: np.ndarray) -> dict[str, list[object]]:
        decoded.append(len(rows))
        return {"carrier": [["UA", "AA", None][int(r)] for r in rows[:, 0]], "seats": rows[:, 1].tolist()}

    decoded: list[int] = []
    log = PredictionLog(tmp_path, limits=LogLimits(window=30))
    for number in range(3):
        log.put(event(number, features=Encoded(np.array([[number, np.nan if number else 7.0]]), decode)))
    log.close()
    assert decoded == [3], "of many requests at once"
    found = table(tmp_path)
    assert found["feature_carrier"].to_pylist() == ["UA", "AA", None]
    assert found["feature_seats"].to_pylist() == [7.0, None, None]


def test_what_is_gathered_as_columns_reads_as_if_each_request_had_been_kept(tmp_path: Path) -> None:
    """Two versions in turn, several rows, a day that ends, missing values; and one kind that makes no table."""

    def columns(rows: np.ndarray) -> dict[str, object]:
        return {"seats": rows[:, 0], "carrier": [["UA", "AA"][int(code)] for code in rows[:, 1]]}

    def broken(rows: np.ndarray) -> dict[str, object]:
        return {"x": [{}[row] if row else 1.0 for row in rows[:, 0].tolist()]}

    def named(rows: np.ndarray) -> dict[str, object]:
        return {"p_late": rows[:, 0], "p_never": rows[:, 1]}

    logs = {name: PredictionLog(tmp_path / name, limits=LogLimits(window=30)) for name in ("gathered", "kept")}
    for n in range(2100):
        rows = np.array([[np.nan if n % 5 == 0 else n, row] for row in range(1 + n % 2)])
        answers = np.full((len(rows), 2), [n / 2100, 1 - n / 2100])
        decode = columns if n % 3 else (lambda rows, _=n % 3: columns(rows))
        told = {
            "version": f"v{n % 3}", "when": NOON + n * 40, "unit": None if n % 7 else f"u{n}", "size": n,
            "caller": "desk" if n % 4 else "", "latency": None if n % 11 == 0 else 0.001 * n,
        }  # fmt: skip
        assert logs["gathered"].put(event(n, features=Encoded(rows, decode), output=Encoded(answers, named), **told))
        assert logs["kept"].put(event(n, features=columns(rows), output=named(answers), **told))
    for n, rows in ((3001, np.zeros((1, 1))), (3002, np.ones((1, 1)))):
        logs["gathered"].put(
            event(n, features=Encoded(rows, broken), output=Encoded(rows, lambda rows: {"p": rows[:, 0]}))
        )
    for log in logs.values():
        log.close()
    gathered, kept = table(tmp_path / "gathered"), table(tmp_path / "kept")
    shared = [name for name in kept.column_names if name != "host"]
    assert gathered.filter(pc.not_equal(gathered["request_id"], "r-3001")).select(shared).equals(kept.select(shared))
    assert "r-3001" in ids(tmp_path / "gathered"), "its neighbour makes no table, and takes it not along"
    stats = logs["gathered"].stats()
    assert (stats.kept, stats.dropped, stats.pending) == (kept.num_rows + 1, 1, 0)


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=LogLimits(window=30, rows=10, bytes=1000))
    time.sleep(0.1)
    took = [log.put(event(number)) for number in range(15)]
    assert took == [True] * 10 + [False] * 5
    assert log.stats().dropped == 5
    log.flush()
    assert log.put(event(20, size=900))
    assert not log.put(event(21, size=900)), "bytes are bounded too"
    log.close()
    assert len(ids(tmp_path)) == 11


def test_rows_reach_the_disk_while_ever_more_come_in(tmp_path: Path) -> None:
    log, end = PredictionLog(tmp_path, limits=LogLimits(window=0.1)), time.monotonic() + 30
    while not log.stats().kept and time.monotonic() < end:
        log.put(event(1))
    assert log.stats().kept > 0
    log.close()


def test_an_event_that_is_no_table_is_counted_and_takes_no_other_with_it(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=QUICK)
    uneven = {"carrier": np.array(["UA", "AA"], dtype=object), "distance": np.array([1, 2])}
    mixed = {"carrier": np.array([{"a": 1}], dtype=object), "distance": np.array([1])}
    for number, features in enumerate([uneven, mixed, {"carrier": np.array(["\ud800"], object), "distance": [1]}]):
        log.put(event(number, features=features))
    log.put(event(7, request_id="half \ud83d"))
    log.put(event(9, features=Encoded(np.zeros((1, 2)), lambda rows: {}[0])))
    log.put(event(10, when=None))
    log.put(event(8))
    log.close()
    assert "r-8" in ids(tmp_path)
    assert "half ?" in ids(tmp_path)
    assert "r-0" not in ids(tmp_path)
    assert log.stats().dropped >= 3
    assert log.stats().kept + log.stats().dropped == 7
    assert log.stats().pending == 0


@pytest.mark.parametrize("when", [float("nan"), float("-inf"), -5.0, 1e300])
def test_a_clock_gone_mad_loses_no_row(tmp_path: Path, when: float) -> None:
    log = PredictionLog(tmp_path, limits=QUICK)
    log.put(event(1))
    log.put(event(2, when=when, latency=float("nan")))
    log.close()
    assert ids(tmp_path) == ["r-1", "r-2"]


def test_other_columns_and_types_after_a_swap_lie_beside_the_old(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=QUICK)
    log.put(event(1))
    log.put(event(2, version="v2", features={"distance": np.array([1.5]), "wind": np.array([3.0])}))
    log.put(event(3, features={"carrier": np.array([None], dtype=object), "distance": np.array([4])}))
    log.close()
    files = sorted((tmp_path / "predictions/model=delay/date=2025-11-25").iterdir())
    assert len(files) == 2, "all missing is no other type"
    assert sum(dataset.dataset(f).count_rows() for f in files) == 3


class Disk:
    """A journal's file on a disk that is full for a while, and takes a part of what is written before it says so."""

    def __init__(self, file: object, full: threading.Event) -> None:
        self._file, self._full = file, full

    def write(self, raw: bytes) -> int:
        if not self._full.is_set():
            return self._file.write(raw)
        self._file.write(raw[:7])
        raise OSError(28, "No space left on device")

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_a_full_disk_keeps_what_fits_in_memory_counts_the_rest_and_recovers(tmp_path: Path) -> None:
    full = threading.Event()
    log = PredictionLog(tmp_path, limits=LogLimits(window=0.02, rows=20))
    log.put(event(0))
    assert log.flush()
    journal = log._spool._journal
    journal._file = Disk(journal._file, full)
    full.set()
    assert sum(log.put(event(number)) for number in range(1, 31)) == 20
    time.sleep(0.2)
    assert "No space left" in log.stats().error
    assert (log.stats().pending, log.stats().dropped) == (20, 10)
    full.clear()
    assert log.flush()
    assert log.stats().error == ""
    log.close()
    assert len(ids(tmp_path)) == 21, "no half frame hides those after it"


def test_a_journal_is_read_up_to_its_last_whole_frame_wherever_it_is_cut(tmp_path: Path) -> None:
    batch = pa.record_batch({"x": pa.array(range(20))})
    with Journal(tmp_path / "a.journal") as journal:
        assert take_over(journal.path) is None, "somebody writes to it"
        for _ in range(3):
            journal.append(batch)
        one = journal.size // 3
    raw = (tmp_path / "a.journal").read_bytes()
    for cut in range(0, len(raw), 97):
        (tmp_path / "cut").write_bytes(raw[:cut])
        with (tmp_path / "cut").open("rb") as file:
            assert len(list(frames(file))) == cut // one
    flipped = bytearray(raw)
    flipped[one + one // 2] ^= 1
    (tmp_path / "cut").write_bytes(flipped)
    with (tmp_path / "cut").open("rb") as file:
        assert len(list(frames(file))) == 1


SERVER = """
import sys, time
import numpy as np
from gitml.traffic.exchange import Arm
from gitml.traffic.predictionlog import Exchange, LogLimits, PredictionLog
folder, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
log = PredictionLog(folder, limits=LogLimits(window=0.1, roll_seconds=0.25))
end, number = time.monotonic() + seconds, 0
while time.monotonic() < end:
    now = time.time()
    log.put(Exchange(f"{name}-{number}", "", None, Arm("delay"), {"x": np.array([number])},
                     {"p": np.array([0.5])}, 0.001, now, now))
    print(number, now, flush=True)
    number += 1
    time.sleep(0.002)
log.close()
"""


def server(folder: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder), name, str(seconds)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.nightly
def test_killed_servers_in_one_folder_lose_at_most_the_window_and_leave_no_torn_file(tmp_path: Path) -> None:
    first, second = server(tmp_path, "a", 60), server(tmp_path, "b", 1.5)
    said = [first.stdout.readline().split()]
    while float(said[-1][1]) < float(said[0][1]) + 1:
        said.append(first.stdout.readline().split())
    killed = time.time()
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    second_said = second.communicate()[0].splitlines()
    PredictionLog(tmp_path, limits=QUICK).close()
    found = ids(tmp_path)
    assert len(found) == len(set(found)), "no row twice"
    assert sum(i.startswith("b-") for i in found) == len(second_said)
    safe = {f"a-{number}" for number, when in said if float(when) < killed - 0.1 - 0.4}
    assert safe
    assert safe <= set(found)
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".tmp", ".new", ".journal"))]


def test_a_server_killed_between_the_file_and_the_end_of_its_journal_writes_no_row_twice(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=LogLimits(window=0.02, roll_seconds=100))
    log.put(event(1))
    assert log.flush()
    (journal,) = (tmp_path / ".spool/predictions").glob("*.journal")
    raw = journal.read_bytes()
    log.close()
    (left,) = (tmp_path / "predictions/model=delay/date=2025-11-25").iterdir()
    journal.write_bytes(raw)
    left.with_name(f".{left.name}.99.tmp").write_bytes(b"half")
    PredictionLog(tmp_path).close()
    assert ids(tmp_path) == ["r-1"]
    assert not list((tmp_path / ".spool/predictions").iterdir())


def restart(folder: Path, numbers: range) -> None:
    for number in numbers:
        log = PredictionLog(folder, limits=QUICK)
        log.put(event(number))
        log.close()


def test_a_server_that_restarts_all_the_time_leaves_few_files(tmp_path: Path) -> None:
    restart(tmp_path, range(60))
    assert len(list(tmp_path.rglob("*.parquet"))) <= compaction.MANY + 2
    assert len(ids(tmp_path)) == 60


class Store:
    """A folder in fsspec's object store in memory, which may be away."""

    def __init__(self) -> None:
        self.url = f"memory://{uuid.uuid4().hex}"

    @property
    def place(self) -> StoragePlace:
        return place_of(self.url)


@pytest.fixture
def store() -> Iterator[Store]:
    yield Store()
    MemoryFileSystem.store.clear()


def test_an_object_store_gets_whole_files_and_needs_a_local_spool(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its log needs one"):
        PredictionLog(store.url)
    log = PredictionLog(store.url, spool=tmp_path, limits=QUICK)
    log.put(event(1))
    log.close()
    ((name, size, _),) = (store.place / "predictions").files()
    assert name.startswith("model=delay/date=2025-11-25/")
    assert size > 0


def test_an_object_store_that_is_away_is_waited_for_on_the_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OSError("the store is away")

    log = PredictionLog(store.url, spool=tmp_path, limits=LogLimits(window=0.01, roll_seconds=0.02))
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "_open", away)
        for number in range(5):
            log.put(event(number))
            time.sleep(0.03)
        assert "away" in log.stats().error
    log.close()
    assert not list(tmp_path.rglob("*.journal"))
    places = [store.place / "predictions" / name for name, *_ in (store.place / "predictions").files()]
    tables = [parquet.read_table(p.filesystem.open_input_file(p.path)) for p in places]
    assert sum(t.num_rows for t in tables) == 5


def test_putting_costs_microseconds(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=LogLimits(window=60))
    some = event(1)
    taken = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(500):
            log.put(some)
        taken.append((time.perf_counter() - began) / 500)
    assert min(taken) < 20e-6
    log.close()
