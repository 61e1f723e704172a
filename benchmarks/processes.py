"""One process and several behind one port: requests a second for each CPU second that the load generator leaves.

Both serve the same model with the log on, in turn, several rounds. ``PROCESSES=4 python -m benchmarks.processes``;
needs wrk.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.serving import HERE, prepare

PROCESSES = int(os.environ.get("PROCESSES", str(os.cpu_count() or 2)))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS_EACH", "6"))


def measure(app: Path, bodies: Path, processes: int) -> tuple[float, float, float]:
    """Requests a second; requests for each CPU second of the server; memory in MB, shared pages counted once."""
    with tempfile.TemporaryDirectory() as log:
        words = ["serve", "delay", "--port", "0", "--log", log, "--processes", str(processes)]
        server = subprocess.Popen(
            [sys.executable, "-m", "gitml", "-C", str(app), *words], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            url = server.stdout.readline().split("/docs")[0]
            load(url, bodies, 2)
            began = spent(server.pid)
            found = load(url, bodies, SECONDS)
            seconds = spent(server.pid) - began
            memory = sum(p.memory_full_info().pss for p in family(server.pid)) / 1e6
        finally:
            server.terminate()
            server.wait(60)
    return found["requests"] / found["seconds"], found["requests"] / seconds, memory


def family(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def spent(pid: int) -> float:
    return sum(sum(p.cpu_times()[:2]) for p in family(pid))


def load(url: str, bodies: Path, seconds: int) -> dict[str, float]:
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "load.lua")]
    done = subprocess.run(
        [*words, f"{url}/models/delay/predict"],
        check=True, capture_output=True, text=True, env={**os.environ, "BODIES": str(bodies)},
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    if found["failed"]:
        raise RuntimeError(f"{found['failed']:.0f} of {found['requests']:.0f} requests failed")
    return found


def main() -> None:
    if shutil.which("wrk") is None:
        print("needs the load generator wrk; on Debian: apt-get install wrk")
        return
    prepared = prepare()
    found: dict[int, list[tuple[float, float, float]]] = {1: [], PROCESSES: []}
    with tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies"
        bodies.write_text("".join(json.dumps({"rows": [row]}) + "\n" for row in prepared.words))
        for _ in range(ROUNDS):
            for processes, rounds in found.items():
                rounds.append(measure(prepared.app, bodies, processes))
    one, all_of_them = ([statistics.median(column) for column in zip(*found[n], strict=True)] for n in (1, PROCESSES))
    print(f"{'processes':>10}{'requests/s':>14}{'per CPU s':>12}{'memory, MB':>12}")
    for processes, row in ((1, one), (PROCESSES, all_of_them)):
        print(f"{processes:>10}{row[0]:>14,.0f}{row[1]:>12,.0f}{row[2]:>12,.0f}")
    print(f"for each CPU second: {all_of_them[1] / one[1]:.2f} × of one process")


if __name__ == "__main__":
    main()
