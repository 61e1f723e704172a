"""What live distances cost beside the requests whose rows they count: `python -m benchmarks.livesketch`.

A server answers one row a request, with its log on; the CPU time of the whole process is divided by the requests. Then
the same rows are counted as the log hands them over, a second's worth at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier

from gitml.models.loading import load
from gitml.serving.app import App, create_app
from gitml.serving.state import ServerState
from gitml.sketches.gather import Source
from gitml.sketches.reference import ReferenceSketch, reference_of
from gitml.spec.deployment import Deployment, Pin
from gitml.traffic.livesketch import LiveSketches
from gitml.traffic.predictionlog import PredictionLog

REQUESTS, COLUMNS = 4000, 18
RATES = (1, 10, 1000)  # requests a second
SECONDS, SCRAPED = 60, 15
VERSION = "20260101T000000Z-00000000"
NAMES = [f"x{number}" for number in range(COLUMNS)]


class Kept:
    """The batches that a log wrote."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []

    def __call__(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)


def app_of(folder: Path, log: PredictionLog) -> App:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4000, COLUMNS))
    model = HistGradientBoostingClassifier(max_iter=100).fit(rows, rows[:, 0] > 0)
    skops.io.dump(model, folder / "m.skops")
    signature = {
        "inputs": [{"name": name, "type": "float64"} for name in NAMES],
        "outputs": [{"name": "p", "type": "float64"}],
    }
    digest = hashlib.sha256((folder / "m.skops").read_bytes()).hexdigest()
    state = ServerState("production")
    deployment = Deployment(champion=Pin(version=VERSION, digest=digest))
    loaded = load(folder / "m.skops", "skops", signature, sha256=digest)
    state.swap(state.prepare("m", deployment, {VERSION: loaded}))
    return create_app(state, log)


async def asked(app: App, bodies: Iterator[bytes]) -> None:
    """Without a socket: what a request costs the server's own code, so the share is rather too high than too low."""
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/models/m/predict", "headers": []}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    for body in bodies:

        async def receive(body: bytes = body) -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(dict(scope), receive, send)


def reference() -> ReferenceSketch:
    rng = np.random.default_rng(2)
    names = {f"feature_{name}": name for name in NAMES}
    table = pa.table({name: rng.normal(size=20_000) for name in NAMES})
    return reference_of(lambda: iter(table.to_batches()), [*names], Source(names))


def main() -> None:
    rng, kept = np.random.default_rng(3), Kept()
    bodies = [
        orjson.dumps({"rows": [dict(zip(NAMES, row, strict=True))]})
        for row in rng.normal(size=(REQUESTS, COLUMNS)).tolist()
    ]
    with tempfile.TemporaryDirectory() as place, closing(PredictionLog(Path(place) / "log", seen=kept)) as log:
        app = app_of(Path(place), log)
        asyncio.run(asked(app, iter(bodies[:200])))
        began = time.process_time()
        asyncio.run(asked(app, iter(bodies)))
        log.flush()
        request = (time.process_time() - began) / REQUESTS
    print(f"a request of one row, {COLUMNS} columns, log on: {request * 1e6:,.0f} µs of CPU")
    (batch, *_) = pa.Table.from_batches(kept.batches).combine_chunks().to_batches()
    for rate in RATES:
        second = of_a_second(batch.slice(0, rate))
        print(
            f"live distances at {rate:,} requests a second: {second / rate * 1e6:,.1f} µs for each, "
            f"{second / rate / request:.1%} of it; {second:.2%} of a core"
        )


def of_a_second(batch: pa.RecordBatch) -> float:
    """CPU seconds for each, where these rows come every second, and somebody reads the page now and then."""
    live = LiveSketches()
    live.expect("m", {VERSION: (reference(),)})
    live(batch)
    list(live.distances())
    began = time.process_time()
    for number in range(1, SECONDS + 1):
        live(batch)
        if number % SCRAPED == 0:
            list(live.distances())
    return (time.process_time() - began) / SECONDS


if __name__ == "__main__":
    main()
