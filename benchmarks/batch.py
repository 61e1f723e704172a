"""A data set of 400,000 × 20 rows in 16 files, scored by each engine, beside a plain loop and the engine's own map.

``cold`` is the whole call, ``warm`` what its files take once the engine runs and has the model: for ours from the third
file that is done to the last one, as two are worked on at a time, for the maps written by hand a second run in the
same session. ``memory``: the most that this process and ours had at once, with what they share counted once;
``workers``: the most of those that score alone, without the engine's own processes and this one.
``ROWS=10000000 python -m benchmarks.batch local spark ray`` has 25 times the rows, and needs no more.
``python -m benchmarks.batch [spark ray]``; `make engines` first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROWS, FILES, COLUMNS, WORKERS = int(os.environ.get("ROWS", "400000")), 16, 20, 2
_LOOP = """
import pyarrow as pa, pyarrow.parquet as parquet
def score(model, source, target):
    file = parquet.ParquetFile(source)
    schema = pa.schema([("id", pa.int64()), ("p", pa.float64())])
    with parquet.ParquetWriter(target, schema, compression="zstd") as out:
        for batch in file.iter_batches(16384):
            given = batch.to_pandas()
            p = model.predict_proba(given.drop(columns="id"))[:, 1]
            out.write_batch(pa.record_batch([batch["id"], pa.array(p)], schema=schema))
"""
_HEAD = """
import json, os, sys, time, shutil, skops.io
began = time.perf_counter()
folder, workers = sys.argv[1], int(sys.argv[2])
place = folder + "/app/model.skops"
load = lambda: skops.io.load(place, trusted=skops.io.get_untrusted_types(file=place))
def answered(model, given):
    return {"id": given["id"], "p": model.predict_proba(given.drop(columns="id"))[:, 1]}
"""
_LOOPED = """
def once():
    model = load()
    os.makedirs(folder + "/byhand", exist_ok=True)
    for name in sorted(os.listdir(folder + "/data")):
        score(model, f"{folder}/data/{name}", f"{folder}/byhand/{name}")
"""
_SPARK = """
import pandas as pd, pyarrow as pa
from pyspark.sql import SparkSession
os.environ.update(SPARK_LOCAL_IP="127.0.0.1", OMP_NUM_THREADS="1")
quiet = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
spark = SparkSession.builder.master(f"local[{workers}]").config(map=quiet).getOrCreate()
def scored(batches):
    model = load()
    for batch in batches:
        yield pa.RecordBatch.from_pandas(pd.DataFrame(answered(model, batch.to_pandas())), preserve_index=False)
def once():
    mapped = spark.read.parquet(folder + "/data").mapInArrow(scored, "id long, p double")
    mapped.write.mode("overwrite").parquet(folder + "/byhand")
"""
_RAY = """
os.environ.update(RAY_USAGE_STATS_ENABLED="0")
import ray, ray.data, pandas as pd
ray.init(num_cpus=workers + 1, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
class Scored:
    def __init__(self): self.model = load()
    def __call__(self, given): return pd.DataFrame(answered(self.model, given))
def once():
    data = ray.data.read_parquet(folder + "/data")
    mapped = data.map_batches(Scored, batch_format="pandas", batch_size=16384, concurrency=workers)
    mapped.write_parquet(folder + "/byhand")
"""
_TAIL = """
once(); cold = time.perf_counter() - began
shutil.rmtree(folder + "/byhand"); again = time.perf_counter(); once()
print(json.dumps([cold, time.perf_counter() - again]))
"""


def prepared(folder: Path) -> None:
    """An application with one model, and its data set."""
    import numpy as np
    import pandas as pd
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier

    drawn = np.random.default_rng(0)

    def rows(count: int) -> pd.DataFrame:
        return pd.DataFrame(drawn.normal(size=(count, COLUMNS)), columns=[f"x{n}" for n in range(COLUMNS)])

    table = rows(20_000)
    truth = (table["x0"] + table["x1"] * table["x2"] > 0).astype(int)
    model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False).fit(table, truth)
    (folder / "app").mkdir()
    (folder / "data").mkdir()
    skops.io.dump(model, folder / "model.skops")
    for number in range(FILES):
        table = rows(ROWS // FILES)
        table.insert(0, "id", range(number * len(table), (number + 1) * len(table)))
        table.to_parquet(folder / f"data/{number:02}.parquet", index=False)
    inputs = [{"name": f"x{n}", "type": "float64"} for n in range(COLUMNS)]
    signature = {"inputs": inputs, "outputs": [{"name": "p", "type": "float64"}]}
    (folder / "signature.json").write_text(json.dumps(signature))
    (folder / "metrics.json").write_text('{"auc": 0.9}')
    (folder / "app/gitml.yaml").write_text(
        "application: batch\nmodels:\n  batch: {origin: external, artifact: model.skops, signature: signature.json, "
        "metrics: metrics.json}\n"
    )
    files = ["--artifact", "../model.skops", "--signature", "../signature.json", "--metrics", "../metrics.json"]
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["gitml", "register", "batch", "--source=b", *files]):
        subprocess.run(words, cwd=folder / "app", check=True, stdout=subprocess.DEVNULL)


def by_hand(engine: str, folder: Path) -> list[float]:
    code = _HEAD + {"local": _LOOP + _LOOPED, "spark": _SPARK, "ray": _RAY}[engine] + _TAIL
    words = [python_of(engine), "-c", code, str(folder), str(WORKERS)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    told = subprocess.run(words, check=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return list(json.loads(told.splitlines()[-1]))


# What a process that scores is called: a fork of Spark's daemon, and what Ray renames its own to.
_SCORING = ("pyspark.daemon", "ray::_Worker")


@contextmanager
def most_memory(found: list[float]) -> Iterator[None]:
    """Put the most MB that this process and all below it had together into ``found``, and then of workers alone."""
    over, base = threading.Event(), psutil.Process()
    found += [0.0, 0.0]

    def look() -> None:
        while not over.wait(0.5):
            total = workers = 0
            for process in (base, *base.children(recursive=True)):
                with suppress(psutil.Error):
                    taken = process.memory_full_info().pss
                    total += taken
                    workers += taken if any(name in " ".join(process.cmdline()) for name in _SCORING) else 0
            found[:] = max(found[0], total / 1e6), max(found[1], workers / 1e6)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def by_gitml(engine: str, folder: Path) -> list[float]:
    from gitml.inference.score import ScoreCall, score
    from gitml.inference.scoreengine import EngineWish

    done: list[float] = []
    workers = 1 if engine == "local" else WORKERS
    memory: list[float] = []
    began = time.perf_counter()
    call: dict[str, Any] = {"engine": EngineWish(engine, workers), "say": lambda _: done.append(time.perf_counter())}
    with most_memory(memory):
        score(folder / "app", "batch", ScoreCall(str(folder / "data"), str(folder / f"scores-{engine}"), **call))
    return [time.perf_counter() - began, (done[-1] - done[workers - 1]) * FILES / (FILES - workers), *memory]


def python_of(engine: str) -> str:
    from gitml.pipelines.enginevenv import engine_environment

    return sys.executable if engine == "local" else str(engine_environment(engine).python)


def main(engines: tuple[str, ...] = ("local", "spark", "ray")) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        prepared(folder)
        print(f"{ROWS:,} rows × {COLUMNS}, {FILES} files")
        print("engine   cold    warm   by hand: cold   warm   ratio warm   memory    workers")
        for engine in engines:
            hand, (cold, warm, memory, workers) = by_hand(engine, folder), by_gitml(engine, folder)
            seconds = "".join(f"{s:8.1f}" for s in (cold, warm, *hand))
            print(f"{engine:6}{seconds}   {warm / hand[1]:.2f} {memory:8,.0f} MB {workers:6,.0f} MB", flush=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ("local", "spark", "ray"))
