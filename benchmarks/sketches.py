"""A window's sketch from the traffic, and a look at it: `python -m benchmarks.sketches [ROWS]`.

40 columns: 21 of normal numbers, 6 of whole ones, 3 with missing values, 9 of categories, an output; in 56 files of
seven days. Printed are CPU seconds (all threads) and the peak of memory, in a process of its own, without imports;
beside them stands what it costs to decode the same columns with Parquet alone.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from gitml.monitoring.drift.looks import comparable, windowed
from gitml.monitoring.drift.scan import scan_windows
from gitml.monitoring.promise import Promise
from gitml.sketches.gather import Source
from gitml.sketches.reference import read_reference, reference_bytes, reference_of
from gitml.traffic.exchange import FIXED, MOMENT
from gitml.traffic.files import Stretch, schema_with
from gitml.traffic.reader import Window
from gitml.traffic.windowsketch import CountedRows, sketch_of_window

START = datetime(2026, 4, 6, tzinfo=UTC)
DAYS, FILES = 7, 8
WINDOW = Window(START, START + timedelta(days=DAYS), START + timedelta(days=30))
COLUMNS = [*(f"feature_n{k}" for k in range(30)), *(f"feature_c{k}" for k in range(9)), "output_p"]


def table(rng: np.random.Generator, n: int, first: int, day: int) -> pa.Table:
    start = int((START + timedelta(days=day)).timestamp() * 1e6)
    arrived = pa.array(start + np.sort(rng.integers(0, 86_400 * 10**6, n))).cast(MOMENT)
    known = {
        "request_id": [f"r-{first + i:012d}" for i in range(n)],
        "row": np.zeros(n, np.int32),
        "unit": [f"u{i}" for i in rng.integers(0, 20_000, n)],
        "environment": ["production"] * n,
        "host": ["web"] * n,
        "arm": ["champion"] * n,
        "version": ["v1"] * n,
        "outcome": ["ok"] * n,
        "arrived": arrived,
        "answered": arrived,
    }
    columns = {f.name: pa.array(known[f.name], f.type) if f.name in known else pa.nulls(n, f.type) for f in FIXED}
    return pa.table(columns | features(rng, n))


def features(rng: np.random.Generator, n: int) -> dict[str, pa.Array]:
    found = {}
    for k in range(30):
        values = rng.normal(size=n)
        if k % 5 == 1:
            values = np.rint(values * 10)
        if k % 10 == 0:
            values[rng.random(n) < 0.05] = np.nan
        found[f"feature_n{k}"] = pa.array(values, from_pandas=True)
    words = np.array([f"word{i}" for i in range(13)])
    found |= {f"feature_c{k}": pa.array(rng.choice(words, n)) for k in range(9)}
    return found | {"output_p": pa.array(rng.random(n))}


def write(folder: Path, rows: int) -> None:
    rng, per = np.random.default_rng(0), rows // (DAYS * FILES)
    for number in range(DAYS * FILES):
        day = number // FILES
        name = f"{number:016d}-0"
        some = table(rng, per, number * per, day)
        place = folder / "predictions/model=delay" / f"date={START + timedelta(days=day):%Y-%m-%d}" / f"{name}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        schema = schema_with(some.schema, [Stretch(name, place.name, 0, per, 1)])
        with parquet.ParquetWriter(place, schema, compression="zstd") as writer:
            writer.write_table(some.replace_schema_metadata(schema.metadata), row_group_size=65_536)
    reference = pa.table(features(rng, 200_000)).to_batches(65_536)
    (folder / "reference.json").write_bytes(reference_bytes(reference_of(lambda: iter(reference), COLUMNS, Source())))


def spent(name: str, since: float) -> tuple[str, float]:
    return name, time.process_time() - since


def steps(folder: Path) -> Iterator[tuple[str, float]]:
    began = time.process_time()
    reference = read_reference((folder / "reference.json").read_bytes())
    sketch = sketch_of_window(folder, "delay", WINDOW, reference.layout, CountedRows("production", "v1"))
    yield spent("sketch of the window", began)
    began = time.process_time()
    sketch_of_window(folder, "delay", WINDOW, reference.layout, CountedRows("production", "v1"))
    yield spent("the same, kept beside the data", began)
    began = time.process_time()
    looks, baselines = comparable(reference, windowed([sketch]))
    scan_windows(looks, baselines, Promise(52, len(COLUMNS)))
    yield spent("the look: scan of 40 columns", began)
    yield "peak of memory, MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    for path in sorted(folder.rglob("*.parquet")):
        for _ in parquet.ParquetFile(path).iter_batches(65_536, columns=COLUMNS):
            pass
    yield spent("Parquet alone", began)


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(dict(steps(Path(sys.argv[2])))))
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        command = [sys.executable, "-m", "benchmarks.sketches", str(rows), folder]
        told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(f"{rows:,} rows × {len(COLUMNS)} columns")
    for name, figure in told.items():
        print(f"{name:<34}{figure:8.2f}")


if __name__ == "__main__":
    main()
