"""What explanations of the flight-delay model cost: a row asked over HTTP, and what predictions pay for it.

One server, in turns: predictions before anybody asked why, and after rows were explained, under the same load.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.servers.table import CACHE, SERVERS, Prepared
from benchmarks.serving import CONCURRENCIES, SECONDS, load, prepare, running, spent

ROUNDS = 3


def explained(url: str, whole: psutil.Process, prepared: Prepared) -> tuple[float, list[float]]:
    """Milliseconds of CPU a row, and those that each row takes; the first makes all that the others need, and is not
    among them."""
    taken, why = [], url.replace("/predict", "/explain")
    with httpx.Client(trust_env=False, timeout=30) as client:
        client.post(why, json={"rows": [prepared.words[0]]}).raise_for_status()
        before = spent(whole)
        for row in prepared.words:
            start = time.perf_counter()
            client.post(why, json={"rows": [row]}).raise_for_status()
            taken.append(1000 * (time.perf_counter() - start))
        return 1000 * (spent(whole) - before) / len(taken), taken


def turn(url: str, whole: psutil.Process, prepared: Prepared) -> dict[str, float]:
    """Predictions: ms of CPU each, and their p50 and p99 in ms, by how many ask at once."""
    found: dict[str, float] = {}
    for c in CONCURRENCIES:
        before = spent(whole)
        taken = load(SERVERS[0], url, prepared, c, SECONDS)
        found |= {f"cpu at {c}": 1000 * (spent(whole) - before) / taken["requests"]}
        found |= {f"{name} at {c}": taken[name] for name in ("p50", "p99")}
    return found


def main() -> None:
    if shutil.which("wrk") is None:
        print("needs the load generator wrk; on Debian: apt-get install wrk")
        return
    CACHE.mkdir(exist_ok=True)
    prepared = prepare()
    turns: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
    cpu: list[float] = []
    asked: list[float] = []
    for _ in range(ROUNDS):  # each with a server of its own, which nobody has asked why before the first turn
        with running(SERVERS[0], Path(sys.executable), prepared) as (url, whole):
            load(SERVERS[0], url, prepared, max(CONCURRENCIES), 1)
            turns["before"].append(turn(url, whole, prepared))
            row, each = explained(url, whole, prepared)
            cpu, asked = [*cpu, row], [*asked, *each]
            turns["after"].append(turn(url, whole, prepared))
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in turns.items()
    }
    for key, value in medians["before"].items():
        after = medians["after"][key]
        print(f"predictions, {key:10} {value:7.3f} ms before, {after:7.3f} ms after ({after / value:.2f} ×)")
    told = {"cpu": statistics.median(cpu), "p50": statistics.median(asked), "slowest": max(asked)}
    print("an explanation: " + ", ".join(f"{name} {value:.2f} ms" for name, value in told.items()))
    print(json.dumps({"benchmark": "explaining", "medians": medians, "explanation": told}))


if __name__ == "__main__":
    main()
