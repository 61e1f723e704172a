"""Labels that come late, twice, corrected or for nothing join exactly once, also across a restart."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.errors import UsageError
from gitml.traffic import intake, reader
from gitml.traffic import store as store_module
from gitml.traffic.exchange import Arm
from gitml.traffic.intake import labels_from, receive_labels
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import Exchange, LogLimits, PredictionLog
from gitml.traffic.reader import Window, orphans, requests

ARM = Arm("delay", "production", "champion", "v1", 100.0, "e1")
NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC


def predict(folder: Path, *numbers: int, when: float = NOON, rows: int = 1) -> None:
    log = PredictionLog(folder, limits=LogLimits(window=0.02))
    for number in numbers:
        x, p = {"x": np.full(rows, number)}, {"p": np.full(rows, 0.5)}
        log.put(Exchange(f"r-{number}", "", None, ARM, x, p, 0.001, when, when))
    log.close()


def predict_all(folder: Path, ids: set[str]) -> None:
    log = PredictionLog(folder, limits=LogLimits(window=0.02))
    for each in ids:
        log.put(Exchange(each, "", None, ARM, {"x": np.zeros(2)}, {"p": np.zeros(2)}, 0.001, NOON, NOON))
    log.close()


@contextmanager
def storing(folder: Path) -> Iterator[LabelStore]:
    store = LabelStore(folder)
    yield store
    store.close()


def read(folder: Path, **bounds: datetime) -> dict[tuple[str, int], float | str | None]:
    rows = [row for batch in requests(folder, "delay", Window(**bounds)) for row in batch.to_pylist()]
    found = {(r["request_id"], r["row"]): r["label"] if r["label_text"] is None else r["label_text"] for r in rows}
    assert len(found) == len(rows), "a prediction comes once"
    return found


def test_duplicate_corrected_late_and_orphan_labels_join_once(tmp_path: Path) -> None:
    predict(tmp_path, 1, 2, 3, rows=2)
    with storing(tmp_path) as store:
        store.add("delay", [Label("r-1", 1.0), Label("r-1", 1.0), Label("r-2", 0.0, 1), Label("gone", 1.0)])
        store.add("delay", [Label("r-1", 1.0)])
        store.add("delay", [Label("r-2", 1.0, 1)])
        store.add("other", [Label("r-3", 9.0)])
        expected = {("r-1", 0): 1.0, ("r-1", 1): None, ("r-2", 0): None, ("r-2", 1): 1.0}
        expected |= {("r-3", 0): None, ("r-3", 1): None}
        assert read(tmp_path) == expected, "what was kept is read at once, from the journal"
    assert read(tmp_path) == expected
    assert orphans(tmp_path, "delay") == 1
    predict(tmp_path, 4)
    with storing(tmp_path) as store:
        store.add("delay", [Label("r-4", "late"), Label("r-2", 0.5, 1)])
    assert read(tmp_path) == expected | {("r-4", 0): "late", ("r-2", 1): 0.5}


def test_a_label_before_its_prediction_joins_when_that_is_there(tmp_path: Path) -> None:
    with storing(tmp_path) as store:
        store.add("delay", [Label("r-1", 1.0)])
    assert read(tmp_path) == {}
    assert orphans(tmp_path, "delay") == 1
    predict(tmp_path, 1, when=time.time())
    assert read(tmp_path, since=datetime.now(UTC) - timedelta(hours=1)) == {("r-1", 0): 1.0}
    assert orphans(tmp_path, "delay") == 0


def test_a_correction_wins_although_the_clock_was_set_back_and_the_server_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(tmp_path, 1)
    for number, hours in enumerate([0, -5, -48, -3]):
        moment = time.time() + hours * 3600
        with monkeypatch.context() as patch, storing(tmp_path) as store:
            patch.setattr(store_module.clock, "timestamp", lambda at=moment: at)
            store.add("delay", [Label("r-1", float(number))])
    assert read(tmp_path) == {("r-1", 0): 3.0}


def test_a_killed_server_has_kept_every_label_that_it_answered_for(tmp_path: Path) -> None:
    predict(tmp_path, 1)
    killed = LabelStore(tmp_path)
    killed.add("delay", [Label("r-1", 1.0)])
    killed._spool._journal.close()  # the kernel drops a dead process's lock just so
    with storing(tmp_path) as store:
        store.add("delay", [Label("r-1", 2.0)])
    assert read(tmp_path) == {("r-1", 0): 2.0}
    assert not list((tmp_path / ".spool/labels").glob("*.journal"))


def test_since_and_until_bound_the_predictions_not_their_labels(tmp_path: Path) -> None:
    for day in range(4):
        predict(tmp_path, day, when=NOON + 86400 * day)
    with storing(tmp_path) as store:
        store.add("delay", [Label(f"r-{day}", float(day)) for day in range(4)])
    noon = datetime.fromtimestamp(NOON, UTC)
    found = read(tmp_path, since=noon + timedelta(days=1), until=noon + timedelta(days=3))
    assert found == {("r-1", 0): 1.0, ("r-2", 0): 2.0}
    assert read(tmp_path, since=noon + timedelta(days=9)) == {}


def test_more_labels_than_fit_in_memory_at_once_join_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict(tmp_path, *range(200))
    with storing(tmp_path) as store:
        store.add("delay", [Label(f"r-{number}", float(number)) for number in range(0, 300, 2)])
    whole, lone = read(tmp_path), orphans(tmp_path, "delay")
    monkeypatch.setattr(reader, "_AT_ONCE", 20)
    assert read(tmp_path) == whole == {(f"r-{n}", 0): None if n % 2 else float(n) for n in range(200)}
    assert orphans(tmp_path, "delay") == lone == 50


@pytest.mark.nightly
def test_reading_while_servers_close_their_journals_sees_every_row_once(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, limits=LogLimits(window=0.01, roll_seconds=0.02))
    store, over = LabelStore(tmp_path), threading.Event()

    def work() -> None:
        for number in range(200):  # a machine that is slow to read must not have ever more to read
            if over.is_set():
                break
            x, p = {"x": np.array([number])}, {"p": np.array([0.5])}
            log.put(Exchange(f"r-{number}", "", None, ARM, x, p, 0.001, NOON, NOON))
            store.add("delay", [Label(f"r-{number}", 1.0)])
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    before = 0
    for _ in range(25):
        now = len(read(tmp_path))
        assert now >= before
        before = now
    over.set()
    thread.join()
    log.close()
    store.close()
    assert set(read(tmp_path).values()) == {1.0}


def answer(folder: Path, body: object, model: str = "delay") -> tuple[int, dict[str, object]]:
    with storing(folder) as store:
        return receive_labels(store, model, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_labels_over_http_are_kept_all_or_none_and_the_answer_says_what_is_wrong(tmp_path: Path) -> None:
    predict(tmp_path, 1, 2)
    good = {"request_id": "r-1", "label": True}
    assert answer(tmp_path, {"labels": [good, {"request_id": "r-2", "label": "late", "row": 0}]}) == (200, {"kept": 2})
    assert read(tmp_path) == {("r-1", 0): 1.0, ("r-2", 0): "late"}
    status, said = answer(tmp_path, {"labels": [{**good, "label": 0}, {"request_id": "r-2", "row": -1, "label": 1}]})
    assert status == 422
    assert said["problems"] == [{"number": 1, "field": "row", "expected": "a whole number from 0 on", "got": "-1"}]
    assert read(tmp_path)["r-1", 0] == 1.0
    assert answer(tmp_path, {"labels": [good]}, model="../../etc")[0] == 404
    assert answer(tmp_path, {"labels": [good] * (intake.MOST + 1)})[0] == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[1]", b"{}", b'{"labels": 1}', b"[" * 100_000, b'{"labels": [1]}', b'{"labels": [{}]}',
     b'{"labels": [{"request_id": "", "label": 1}]}', b'{"labels": [{"request_id": "a", "label": NaN}]}',
     b'{"labels": [{"request_id": "a", "label": null}]}', b'{"labels": [{"request_id": "a", "label": 1, "x": 2}]}',
     b'{"labels": [{"request_id": "\\ud800", "label": 1}]}', b'{"labels": [{"request_id": "a", "label": [1]}]}',
     b'{"labels": [{"request_id": "a", "label": 1' + b"0" * 400 + b"}]}",
     b'{"labels": [{"request_id": "a", "label": 1, "row": true}]}',
     b'{"labels": [{"request_id": "a", "label": 1, "label": 0}]}',
     json.dumps({"labels": [{"request_id": "a" * 1001, "label": 1}]}).encode()],
)  # fmt: skip
def test_whatever_is_no_label_is_refused(tmp_path: Path, body: bytes) -> None:
    status, said = answer(tmp_path, body)
    assert status in (400, 422)
    assert said["error"]
    assert not (tmp_path / "labels").exists()


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 9)), max_size=12), st.integers(1, 4)
)
def test_the_last_label_of_a_row_counts_however_they_are_sent(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[str, int, int]], step: int
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    with storing(folder) as store:
        for start in range(0, len(sent), step):
            store.add("delay", [Label(i, float(v), row) for i, row, v in sent[start : start + step]])
        predict_all(folder, {i for i, _, _ in sent})
        found = read(folder)
    assert {key: value for key, value in found.items() if value is not None} == {
        (i, row): float(v) for i, row, v in sent
    }


def test_a_table_of_labels_names_its_first_wrong_row() -> None:
    good = pa.record_batch({"request_id": [17, 18], "label": [True, False]})
    assert list(labels_from(iter([good]))) == [[Label("17", 1.0), Label("18", 0.0)]]
    wrong = pa.record_batch({"request_id": ["a", None], "label": [1.0, 2.0]})
    with pytest.raises(UsageError, match="row 3: request_id"):
        list(labels_from(iter([good, wrong])))
    with pytest.raises(UsageError, match="no column label"):
        list(labels_from(iter([good.select(["request_id"])])))


# A child that some other thread is just starting has copies of all open files, until its own program begins.
CLOSES_WHILE_A_CHILD_STARTS = """
import os, sys
from gitml.traffic.labels import Label, LabelStore
store = LabelStore(sys.argv[1])
store.add("delay", [Label("r1", 1.0)])
end, other = os.pipe()
if (child := os.fork()) == 0:
    os.close(other)
    os.read(end, 1)
    os._exit(0)
store.close()
os.close(other)
os.waitpid(child, 0)
"""


def test_a_store_that_is_closed_while_a_process_starts_leaves_no_journal(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CLOSES_WHILE_A_CHILD_STARTS, str(tmp_path)], check=True, timeout=60)
    assert [*tmp_path.rglob("*.journal")] == []
    assert len([*tmp_path.rglob("*.parquet")]) == 1
