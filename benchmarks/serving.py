"""The flight-delay model behind gitml and behind other servers: requests a second, p50, p99 and memory.

Each server runs alone and in turn, several rounds, under the same load generator (wrk), in an environment of its own
that this script makes with uv. gitml runs as users run it, with its prediction log on, and takes words; the others get
what is best for them: rows already encoded as numbers, and the bare trees, called on arrays.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.servers.table import CACHE, SERVERS, Prepared, Server, environment, free_port

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS_EACH", "4"))
CONCURRENCIES = (1, 32)
READY = 120.0


def prepare() -> Prepared:
    """Train the model in a clone, once for each state of its pipeline, and take it apart."""
    import joblib
    import pyarrow.parquet as parquet
    import skops.io

    root = HERE.parent
    what = ["HEAD:pipelines", "HEAD:params.yaml", "HEAD:dvc.yaml", "HEAD:gitml.yaml"]
    state = subprocess.run(["git", "rev-parse", *what], cwd=root, check=True, capture_output=True).stdout
    app = CACHE / f"app-{hashlib.sha256(state).hexdigest()[:12]}"
    if not (app / "trained").exists():
        shutil.rmtree(app, ignore_errors=True)
        subprocess.run(["git", "clone", "-q", str(root), str(app)], check=True)
        subprocess.run([sys.executable, "-m", "gitml", "-C", str(app), "train", "delay"], check=True)
        (app / "trained").touch()
    folder = app / "artifacts/delay"
    types = skops.io.get_untrusted_types(file=folder / "model.skops")
    model = skops.io.load(folder / "model.skops", trusted=types)
    signature = json.loads((folder / "signature.json").read_text())
    frame = parquet.read_table(folder / "samples.parquet").to_pandas()[[c["name"] for c in signature["inputs"]]][:64]
    bare = CACHE / "trees.joblib"
    joblib.dump(model[-1], bare)
    words = json.loads(frame.to_json(orient="records"))
    encoded = [[None if v != v else float(v) for v in row] for row in model[:-1].transform(frame)]
    expected = model.predict_proba(frame)[:, 1].tolist()
    return Prepared(app, folder / "model.skops", folder / "signature.json", bare, words, encoded, expected)


def environment_of(server: Server) -> Path:
    """The Python of the server's environment. Raises CalledProcessError when it cannot be made."""
    if not server.packages:
        return Path(sys.executable)
    import sklearn

    folder = CACHE / "environments" / server.name.lower()
    python = folder / "bin/python"
    wanted = [*server.packages, f"scikit-learn=={sklearn.__version__}", "joblib"]
    if not (folder / "ready").exists():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "-q", "--python", str(python), *wanted]
        subprocess.run(install, check=True, capture_output=True, text=True)
        (folder / "ready").touch()
    return python


def version_of(server: Server, python: Path) -> str:
    name = server.packages[0] if server.packages else "gitml" if server.name == "gitml" else "starlette"
    asked = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def running(server: Server, python: Path, prepared: Prepared) -> Iterator[tuple[str, psutil.Process]]:
    """The address that takes requests, when it does, and the process, which is stopped with its children."""
    port = free_port()
    log = CACHE / f"{server.name.replace(' ', '')}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            server.command(python, prepared, port), stdout=said, stderr=said, cwd=CACHE, start_new_session=True,
            env=environment(python, prepared),
        )  # fmt: skip
    whole = psutil.Process(process.pid)
    try:
        url = f"http://127.0.0.1:{port}{server.path}"
        _wait(url, server.body(prepared, 0), process, log)
        yield url, whole
    finally:
        family = [whole, *whole.children(recursive=True)] if process.poll() is None else []
        for one in family:
            one.terminate()
        for one in psutil.wait_procs(family, timeout=15)[1]:
            one.kill()
        process.wait()


def _wait(url: str, body: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY
    said = "nothing"
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = httpx.post(url, json=body, timeout=5, trust_env=False)
            if answer.status_code == 200:
                return
            said = answer.text[:300]
        except httpx.HTTPError as exc:
            said = str(exc)
        time.sleep(0.2)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or [""]
    raise RuntimeError(f"it did not answer ({said}); its log ends: {last[0][:300]}")


def check(server: Server, url: str, prepared: Prepared) -> None:
    """Every server must give the model's own answers before it is measured."""
    missing = [n for n, row in enumerate(prepared.numbers) if None in row]
    with httpx.Client(trust_env=False) as client:
        for n, expected in enumerate(prepared.expected):
            if server.packages and n in missing:
                continue
            found = server.answer(client.post(url, json=server.body(prepared, n)).json())
            if abs(found - expected) > 1e-6:
                raise RuntimeError(f"it answers {found} for row {n}, the model says {expected}")


def spent(whole: psutil.Process) -> float:
    """CPU seconds of the server with its children so far. Of these, other work on the machine changes little."""
    return sum(p.cpu_times().user + p.cpu_times().system for p in [whole, *whole.children(recursive=True)])


def load(server: Server, url: str, prepared: Prepared, concurrency: int, seconds: int) -> dict[str, float]:
    bodies = CACHE / "bodies.txt"
    bodies.write_text("".join(json.dumps(server.body(prepared, n)) + "\n" for n in range(len(prepared.words))))
    words = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "load.lua"), url]
    done = subprocess.run(
        words,
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        env={**os.environ, "BODIES": str(bodies)},
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    if found["failed"]:
        raise RuntimeError(f"{found['failed']:.0f} of {found['requests']:.0f} requests failed")
    requests = found["requests"]
    return {"requests": requests, "rps": requests / found["seconds"], "p50": found["p50"], "p99": found["p99"]}


def memory(whole: psutil.Process) -> float:
    """Megabytes of the server with its children; what they share counts once."""
    return sum(p.memory_full_info().pss for p in [whole, *whole.children(recursive=True)]) / 1e6


def measure(server: Server, python: Path, prepared: Prepared) -> dict[str, float]:
    found: dict[str, float] = {}
    with running(server, python, prepared) as (url, whole):
        check(server, url, prepared)
        load(server, url, prepared, max(CONCURRENCIES), 1)
        for c in CONCURRENCIES:
            before = spent(whole)
            taken = load(server, url, prepared, c, SECONDS)
            taken["cpu"] = 1000 * (spent(whole) - before) / taken.pop("requests")
            found |= {f"{key} at {c}": value for key, value in taken.items()}
        return {**found, "memory": memory(whole)}


def compare(prepared: Prepared) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Medians by server, and why servers are missing."""
    missing: dict[str, str] = {}
    pythons: dict[str, Path] = {}
    taken: dict[str, list[dict[str, float]]] = {}
    for turn in range(ROUNDS + 1):
        for server in SERVERS:
            if server.name in missing:
                continue
            try:
                if not turn:
                    pythons[server.name] = environment_of(server)
                    server.prepare(pythons[server.name], prepared)
                else:
                    taken.setdefault(server.name, []).append(measure(server, pythons[server.name], prepared))
            except (RuntimeError, subprocess.SubprocessError, httpx.HTTPError, OSError, KeyError) as exc:
                missing[server.name] = _reason(exc)
                taken.pop(server.name, None)
    medians: dict[str, dict[str, Any]] = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in taken.items()
    }
    for server in SERVERS:
        if server.name in medians:
            medians[server.name]["version"] = version_of(server, pythons[server.name])
    return medians, missing


def _reason(exc: Exception) -> str:
    said = getattr(exc, "stderr", None) or str(exc)
    lines = (said.decode(errors="replace") if isinstance(said, bytes) else str(said)).strip().splitlines()
    return (lines[-1] if lines else type(exc).__name__)[:200]


def main() -> None:
    if shutil.which("wrk") is None:
        print("needs the load generator wrk; on Debian: apt-get install wrk")
        return
    CACHE.mkdir(exist_ok=True)
    medians, missing = compare(prepare())
    ours = medians.get("gitml", {})
    columns = [f"{key} at {c}" for c in CONCURRENCIES for key in ("rps", "p50", "p99", "cpu")] + ["memory"]
    print(f"{'':28}" + "".join(f"{column:>18}" for column in columns))
    for name, found in medians.items():
        cells = [f"{found[c]:.4g}" + (f" ({ours[c] / found[c]:.2f} ×)" if ours else "") for c in columns]
        print(f"{name + ' ' + found['version']:28}" + "".join(f"{cell:>18}" for cell in cells))
    for name, reason in missing.items():
        print(f"{name:28}  not measured: {reason}")
    print(
        "requests/s; ms; ms of CPU a request; MB; in brackets gitml ÷ the other. Medians of",
        ROUNDS,
        "rounds, of",
        SECONDS,
        "s each",
    )
    print(json.dumps({"benchmark": "serving", "rounds": ROUNDS, "medians": medians, "missing": missing}))


if __name__ == "__main__":
    main()
