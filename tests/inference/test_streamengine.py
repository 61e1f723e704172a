"""A folder that grows on Spark Structured Streaming and on Flink, as they are: killed, and called again."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from conftest import write
from engine_work import Doubling
from gitml.engines.base import Batches
from gitml.engines.flinkstream import AnsweredFiles, latest_checkpoint
from gitml.engines.rejects import Reject
from gitml.engines.streamed import StreamTopics, answered_rows, made_schema
from gitml.errors import OutsideError, UsageError
from gitml.inference.scoreengine import EngineWish
from gitml.inference.scorework import Scoring
from gitml.inference.streamengine import EngineStreamCall, engine_stream
from gitml.inference.streamlines import LineWork
from gitml.process import stop
from gitml.registry import Record
from gitml.spec import load_application
from gitml.spec.deployment import Deployment, Pin, render_deployment
from inference.clusters import FlinkCluster, python_of
from inference.test_engines import first_below
from scorekit import APPLICATION, expected, register, rows
from serving_models import fitted, saved


class OddOnes(Doubling):
    """Rejects odd x."""

    def __call__(self, batches: Batches, facts: dict[str, int], reject: Reject) -> Batches:
        for batch in batches:
            odd = pa.compute.bit_wise_and(batch["x"], 1)
            reject(batch.filter(pa.compute.equal(odd, 1)).append_column("gitml_reason", pa.array(["odd"])))
            yield from super().__call__(iter([batch.filter(pa.compute.equal(odd, 0))]), facts, reject)


def test_each_row_comes_out_once_with_what_it_became_or_why_not() -> None:
    given = pa.schema([("x", pa.int32())])
    made = made_schema(OddOnes(), given)
    batches = (pa.record_batch({"x": pa.array([n, n + 1], pa.int32())}) for n in (2, 4))
    found = pa.Table.from_batches(answered_rows(OddOnes(), batches, made), made).to_pylist()
    assert found == [
        {"x": 4, "gitml_reason": None},
        {"x": 3, "gitml_reason": "odd"},
        {"x": 8, "gitml_reason": None},
        {"x": 5, "gitml_reason": "odd"},
    ]


class Running:
    """The stream in a thread of its own, until it is stopped."""

    def __init__(
        self, root: Path, data: Path, output: Path, wish: EngineWish, topics: StreamTopics | None = None
    ) -> None:
        self.stop, self.is_ready, self.said = threading.Event(), threading.Event(), list[str]()
        call = EngineStreamCall(str(data), str(output), wish, 0.5, self.said.append, topics)
        self.raised: Exception | None = None

        def run() -> None:
            try:
                engine_stream(root, "delay@production", call, self.stop, lambda _: self.is_ready.set())
            except Exception as exc:
                self.raised = exc

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not is_so() and self._thread.is_alive():
            assert time.monotonic() < end, self.said
            time.sleep(0.1)
        assert self.raised is None, self.raised

    def end(self) -> None:
        self.stop.set()
        self._thread.join(120)


def committed(output: Path) -> pd.DataFrame:
    """As Spark reads the folder: the files that its log names."""
    names: list[str] = []
    for log in (output / "_spark_metadata").glob("[0-9]*"):
        lines = [json.loads(line) for line in log.read_text().splitlines()[1:]]
        names += [one["path"].removeprefix("file://") for one in lines if one["action"] == "add"]
    tables = [parquet.read_table(name).to_pandas() for name in sorted(set(names))]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"flight": []})


HEAVY = [pytest.mark.engines, pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(900)]


class Served(NamedTuple):
    """An application, its environment's file, and the folders of a stream."""

    root: Path
    data: Path
    output: Path

    def pin(self, name: str, created: str) -> Record:
        artifact = self.root / "artifacts/delay/model.skops"
        artifact.parent.mkdir(parents=True, exist_ok=True)
        saved(fitted(name), artifact)
        record = register(self.root, artifact, created)
        pin = Pin(version=record.version, digest=record.files[record.artifact].sha256)
        write(self.root, {"models/delay/production.yaml": render_deployment(Deployment(champion=pin))})
        return record

    def running(self, wish: EngineWish) -> Running:
        return Running(self.root, self.data, self.output, wish)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    made = Served(tmp_path / "app", tmp_path / "data", tmp_path / "scores")
    write(made.root, {"gitml.yaml": APPLICATION})
    made.data.mkdir()
    made.pin("boosting", "2026-01-01T00:00:00Z")
    return made


@pytest.mark.engines
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spark_answers_each_row_of_a_growing_folder_once_though_it_is_killed_and_another_version_takes_over(
    served: Served,
) -> None:
    _, data, output = served
    spark = EngineWish("spark", python=python_of("spark"))
    wrong = rows(100, 1).astype({"distance": "Int64"})
    wrong.loc[[3, 98], "distance"] = None
    rows(100, 0).astype({"distance": "Int64"}).to_parquet(data / "a.parquet")
    wrong.to_parquet(data / "été [b].parquet")
    first = served.running(spark)
    first.until(lambda: len(committed(output)) >= 200)
    rows(100, 2).to_parquet(data / "c.parquet")
    first_below("gitml.engines.host", lambda p: p.ppid() == os.getpid()).send_signal(psutil.signal.SIGKILL)
    first.end()
    assert isinstance(first.raised, OutsideError), first.said

    again = served.running(spark)
    again.until(lambda: len(committed(output)) >= 300)
    served.pin("onehot", "2026-02-01T00:00:00Z")
    again.until(lambda: any("answers from now on" in words for words in again.said))
    rows(100, 3).to_parquet(data / "d.parquet")
    again.until(lambda: len(committed(output)) >= 400)
    again.end()
    assert again.raised is None, again.said
    told = committed(output)
    assert sorted(told["flight"]) == sorted(f"{seed}-{n:04}" for seed in range(4) for n in range(100))
    left_out = told[told["gitml_reason"].notna()]
    assert sorted(left_out["flight"]) == ["1-0003", "1-0098"]
    assert left_out["p_late"].isna().all()
    table = pd.concat([expected(0), expected(1).drop([3, 98]), expected(2)]).set_index("flight")["p_late"]
    mine = told.set_index("flight").loc[table.index, "p_late"]
    assert mine.to_numpy() == pytest.approx(table.to_numpy(), abs=1e-9)
    assert told.set_index("flight").loc["3-0000":"3-0099", "p_late"].notna().all()


def put(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Whole at once, as writers should: what is renamed is never read half."""
    table.to_json(folder / f".{name}", orient="records", lines=True)
    (folder / f".{name}").rename(folder / name)


def told_by_flink(folder: Path) -> list[dict[str, Any]]:
    """The lines of files that have names."""
    return [json.loads(line) for p in sorted(folder.glob("*/part*")) for line in p.read_text().splitlines()]


def flights(output: Path) -> list[str]:
    left_out = (json.loads(one["line"]) for one in told_by_flink(output / "_rejected") if one["line"].startswith("{"))
    return [one["flight"] for one in (*told_by_flink(output), *left_out)]


@pytest.mark.parametrize("kind", [pytest.param(name, marks=HEAVY) for name in ("local", "cluster")])
def test_flink_answers_each_line_of_a_growing_folder_once_over_killed_processes_and_another_version(
    served: Served, kind: str, request: pytest.FixtureRequest
) -> None:
    _, data, output = served
    cluster: FlinkCluster | None = request.getfixturevalue("flink_processes") if kind == "cluster" else None
    flink = EngineWish("flink", workers=2, python=python_of("flink"), master=cluster.address if cluster else "")
    wrong = rows(100, 1).astype({"distance": "Int64"})
    wrong.loc[[3, 98], "distance"] = None
    put(data, "a.jsonl", rows(100, 0))
    put(data, "été [b].jsonl", wrong)
    (data / "odd.jsonl").write_text("no json\n[1]\n")
    first = served.running(flink)
    first.until(lambda: len(flights(output)) >= 200)
    put(data, "c.jsonl", pd.concat([rows(100, 2)] * 200).assign(again=range(20_000)))
    if cluster:
        # A machine is lost, and another one takes its place.
        first.until(lambda: len(flights(output)) > 200)
        stop(cluster.workers.pop())
        cluster.add_worker()
    else:
        first_below("gitml.engines.flinkworker", lambda p: not p.children()).kill()
    put(data, "d.jsonl", rows(100, 3))
    first.until(lambda: len(flights(output)) >= 20_300)
    put(data, "e.jsonl", pd.concat([rows(100, 4)] * 200).assign(again=range(20_000)))
    first_below("gitml.engines.host", lambda p: p.ppid() == os.getpid()).kill()
    first.end()
    assert isinstance(first.raised, OutsideError), first.said

    again = served.running(flink)
    again.until(lambda: len(flights(output)) >= 40_300)
    served.pin("onehot", "2026-02-01T00:00:00Z")
    again.until(lambda: any("answers from now on" in words for words in again.said))
    put(data, "f.jsonl", rows(100, 5))
    again.until(lambda: len(flights(output)) >= 40_400)
    again.end()
    assert again.raised is None, again.said

    answered, left_out = pd.DataFrame(told_by_flink(output)), told_by_flink(output / "_rejected")
    counts = Counter(flights(output))
    assert counts == {f"{seed}-{n:04}": 200 if seed in (2, 4) else 1 for seed in range(6) for n in range(100)}
    assert sorted(one["line"][:7] for one in left_out if not one["line"].startswith("{")) == ["[1]", "no json"]
    assert sorted(json.loads(one["line"])["flight"] for one in left_out if one["line"].startswith("{")) == [
        "1-0003", "1-0098",
    ]  # fmt: skip
    assert {one["gitml_reason"] for one in left_out if one["line"].startswith("{")} == {
        "distance: expected a whole number, got null"
    }
    table = pd.concat([expected(0), expected(1).drop([3, 98]), expected(2), expected(3), expected(4)])
    mine = answered.drop_duplicates("flight").set_index("flight").loc[table["flight"], "p_late"]
    assert mine.to_numpy() == pytest.approx(table["p_late"].to_numpy(), abs=1e-9)
    versions = answered.groupby(answered["flight"].str[0])["gitml_version"].agg(set)
    assert versions["5"] != versions["0"]
    assert "distance" not in answered.columns


def test_a_line_becomes_what_rest_answers_or_is_left_out_with_the_reason(served: Served) -> None:
    record = served.pin("boosting", "2026-01-01T00:00:00Z")
    work = LineWork(Scoring(served.root, load_application(served.root).models, record, reject=True)(), record)
    given = [json.dumps(row) for row in json.loads(rows(100, 0).to_json(orient="records"))]
    given[3], given[7], given[9] = (
        given[3][:-1],
        '{"flight": 1, "flight": 2}',
        given[9].replace('"distance":', '"far":'),
    )
    left_out: list[pa.RecordBatch] = []
    [found] = work(iter([pa.record_batch({"line": given})]), {}, left_out.append)
    told = [json.loads(line) for line in found["line"].to_pylist()]
    table = expected(0).set_index("flight")["p_late"]
    assert {one["flight"]: one["p_late"] for one in told} == pytest.approx(
        {f"0-{n:04}": table[f"0-{n:04}"] for n in range(100) if n not in (3, 7, 9)}, abs=1e-12
    )
    assert set(told[0]) == {"flight", "p_late", "gitml_version", "gitml_digest"}
    assert left_out[0]["line"].to_pylist() == [given[3], given[7], given[9]]
    assert "distance: expected a whole number, got nothing" in left_out[0]["gitml_reason"][2].as_py()


def test_flink_is_refused_what_it_does_not_read(served: Served) -> None:
    def called(source: str, output: str = "") -> None:
        call = EngineStreamCall(source, output or str(served.output), EngineWish("flink", python="p"))
        engine_stream(served.root, "delay@production", call, threading.Event(), print)

    rows(1, 0).to_parquet(served.data / "a.parquet")
    with pytest.raises(UsageError, match=r"a\.parquet is not a file of lines"):
        called(str(served.data))
    with pytest.raises(UsageError, match="is not a folder"):
        called(str(served.data / "none"))


def test_the_checkpoint_that_was_completed_last_is_gone_on_with(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    write(tmp_path, {"one/chk-9/_metadata": "", "two/chk-2/_metadata": "", "two/chk-3/half": ""})
    os.utime(tmp_path / "one/chk-9/_metadata", (1, 1))
    assert latest_checkpoint(tmp_path) == tmp_path / "two/chk-2"


def test_lines_of_files_that_have_names_are_counted_once(tmp_path: Path) -> None:
    write(tmp_path, {"2026-01-01--09/part-0.jsonl": "a\nb\n"})
    counted = AnsweredFiles(tmp_path, tmp_path / "_rejected")
    write(tmp_path, {"2026-01-01--09/.part-1.jsonl": "a\n", "2026-01-01--09/part-2.jsonl": "a\n"})
    write(tmp_path, {"_rejected/2026-01-01--10/part-0.jsonl": "a\nb\n"})
    assert (counted.rows(), counted.rows()) == (3, 3)
