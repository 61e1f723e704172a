"""A folder that grows on Spark Structured Streaming, as it is: killed, and called again."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from conftest import write
from engine_work import Doubling
from gitml.engines.base import Batches
from gitml.engines.rejects import Reject
from gitml.engines.streamed import answered_rows, made_schema
from gitml.errors import OutsideError
from gitml.inference.scoreengine import EngineWish
from gitml.inference.streamengine import EngineStreamCall, engine_stream
from gitml.spec.deployment import Deployment, Pin, render_deployment
from inference.clusters import python_of
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

    def __init__(self, root: Path, data: Path, output: Path) -> None:
        self.stop, self.is_ready, self.said = threading.Event(), threading.Event(), list[str]()
        wish = EngineWish("spark", python=python_of("spark"))
        call = EngineStreamCall(str(data), str(output), wish, every=0.5, note=self.said.append)
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


@pytest.mark.engines
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spark_answers_each_row_of_a_growing_folder_once_though_it_is_killed_and_another_version_takes_over(
    tmp_path: Path,
) -> None:
    root, data, output = tmp_path / "app", tmp_path / "data", tmp_path / "scores"
    write(root, {"gitml.yaml": APPLICATION})
    artifact = root / "artifacts/delay/model.skops"
    artifact.parent.mkdir(parents=True)
    data.mkdir()

    def pinned(name: str, created: str) -> None:
        saved(fitted(name), artifact)
        record = register(root, artifact, created)
        pin = Pin(version=record.version, digest=record.files[record.artifact].sha256)
        write(root, {"models/delay/production.yaml": render_deployment(Deployment(champion=pin))})

    pinned("boosting", "2026-01-01T00:00:00Z")
    wrong = rows(100, 1).astype({"distance": "Int64"})
    wrong.loc[[3, 98], "distance"] = None
    rows(100, 0).astype({"distance": "Int64"}).to_parquet(data / "a.parquet")
    wrong.to_parquet(data / "été [b].parquet")
    first = Running(root, data, output)
    first.until(lambda: len(committed(output)) >= 200)
    rows(100, 2).to_parquet(data / "c.parquet")
    first_below("gitml.engines.host", lambda p: p.ppid() == os.getpid()).send_signal(psutil.signal.SIGKILL)
    first.end()
    assert isinstance(first.raised, OutsideError), first.said

    again = Running(root, data, output)
    again.until(lambda: len(committed(output)) >= 300)
    pinned("onehot", "2026-02-01T00:00:00Z")
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
