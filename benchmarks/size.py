"""What `gitml size` forecasts, beside what others measure then: wrk asks the server, `gitml score` scores a file.

Boosted trees, a logistic regression, a forest and a network, each served and scored: within 25 %.
``python -m benchmarks.size``; needs wrk, and a machine with two cores and nothing else to do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent / "tests"
ROWS = int(os.environ.get("ROWS", "3000000"))


def models() -> dict[str, tuple[str, bytes]]:
    """Name → file name and bytes of four models that take the same columns."""
    sys.path.append(str(TESTS))
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    from serving_models import columns, fitted, network

    rows = columns(2000)
    truth = (rows["distance"] > 1500).astype(int)
    forest = fitted("onehot")
    forest.steps[-1] = ("forest", RandomForestClassifier(30, max_depth=8, random_state=0, n_jobs=1))
    forest.fit(rows.assign(carrier=rows["carrier"].replace("ZZ", "UA")), truth)
    found = {name: skops.io.dumps(model) for name, model in
             {"boosting": fitted("boosting"), "logistic": fitted("onehot"), "forest": forest}.items()}  # fmt: skip
    return {
        **{name: ("model.skops", raw) for name, raw in found.items()},
        "network": ("model.safetensors", network()[0]),
    }


def prepared(folder: Path, file: str, raw: bytes) -> None:
    from cli.test_serve import APPLICATION, register
    from conftest import write

    folder.mkdir()
    write(folder, {"gitml.yaml": APPLICATION.replace("model.skops", file)})
    (folder / file).write_bytes(raw)
    register(folder, "delay", folder / file)


def gitml(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "gitml", "-C", str(folder), *words]


def served(folder: Path) -> float:
    """Requests a second of one process that is asked by 32 callers, by wrk."""
    from benchmarks.processes import load
    from serving_models import columns

    bodies = folder.parent / "bodies"
    rows = json.loads(columns(64).to_json(orient="records"))
    bodies.write_text("".join(json.dumps({"rows": [row]}) + "\n" for row in rows))
    with tempfile.TemporaryDirectory() as log:
        words = gitml(folder, "serve", "delay", "--port", "0", "--log", log)
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout
            url = server.stdout.readline().split("/docs")[0]
            load(url, bodies, 2)
            found = load(url, bodies, 8)
        finally:
            server.terminate()
            server.wait(60)
    return found["requests"] / found["seconds"]


def scored(folder: Path, rows: int) -> float:
    """Seconds to score a file, without those to start the program."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from serving_models import columns

    table = pa.Table.from_pandas(columns(64), preserve_index=False)
    took = []
    for count in (64, rows):
        parquet.write_table(pa.concat_tables([table] * (count // 64)).combine_chunks(), folder / "in.parquet")
        shutil.rmtree(folder / "out", ignore_errors=True)
        began = time.monotonic()
        words = gitml(folder, "score", "delay", "--input", str(folder / "in.parquet"), "--output", str(folder / "out"))
        subprocess.run(words, check=True, capture_output=True)
        took.append(time.monotonic() - began)
    return took[1] - took[0]


def main() -> None:
    if shutil.which("wrk") is None:
        print("needs the load generator wrk; on Debian: apt-get install wrk")
        return
    worst = 0.0
    print(f"{'model':12}{'requests/s':>12}{'forecast':>12}{'off':>8}{'scoring, s':>14}{'forecast':>12}{'off':>8}")
    with tempfile.TemporaryDirectory() as place:
        for name, (file, raw) in models().items():
            folder = Path(place) / name
            prepared(folder, file, raw)
            words = gitml(folder, "size", "delay", "--json", "--rows", str(ROWS))
            told: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
            rate, forecast_rate = served(folder), 1 / told["serving"]["cpu"]
            took, forecast = scored(folder, ROWS), told["scoring_plan"]["seconds"]
            off = [forecast_rate / rate - 1, forecast / took - 1]
            worst = max(worst, *map(abs, off))
            print(
                f"{name:12}{rate:12,.0f}{forecast_rate:12,.0f}{off[0]:+8.0%}{took:14.1f}{forecast:12.1f}{off[1]:+8.0%}"
            )
    print(f"largest difference {worst:.0%}, at most 25 % are wanted")


if __name__ == "__main__":
    main()
