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
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

HERE = Path(__file__).parent
CACHE = Path(tempfile.gettempdir()) / "gitml-benchmarks"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS_EACH", "4"))
CONCURRENCIES = (1, 32)
READY = 120.0
# No more threads than the machine has cores, for anybody.
QUIET = {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True"}


@dataclass(frozen=True)
class Prepared:
    """``app``: a clone in which the model is trained. ``trees``: the model without its encoder, for joblib."""

    app: Path
    artifact: Path
    signature: Path
    trees: Path
    words: list[dict[str, Any]]
    numbers: list[list[float | None]]
    expected: list[float]


@dataclass(frozen=True)
class Server:
    """``command(python, prepared, port)`` starts it; ``body`` asks it for one row, ``answer`` finds the probability."""

    name: str
    packages: tuple[str, ...]
    path: str
    command: Callable[[Path, Prepared, int], Sequence[str]]
    body: Callable[[Prepared, int], Any]
    answer: Callable[[Any], float]
    prepare: Callable[[Path, Prepared], None] = lambda python, prepared: None


def _numbers(prepared: Prepared, n: int) -> list[float]:
    """Missing numbers as 0: JSON has no NaN, and not every server takes null. Trees do the same work."""
    return [0.0 if v is None else v for v in prepared.numbers[n]]


def _mlserver(python: Path, prepared: Prepared) -> None:
    folder = CACHE / "mlserver-model"
    folder.mkdir(exist_ok=True)
    model = {"name": "delay", "implementation": "mlserver_sklearn.SKLearnModel"}
    model["parameters"] = {"uri": str(prepared.trees), "version": "v1"}
    (folder / "model-settings.json").write_text(json.dumps(model))


def _mlserver_command(python: Path, prepared: Prepared, port: int) -> list[str]:
    # Its ports are settings, not options; no workers of its own: one process answers, as for the others.
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": _free(), "metrics_port": _free()}
    settings |= {"parallel_workers": 0, "debug": False, "metrics_endpoint": None}
    (CACHE / "mlserver-model" / "settings.json").write_text(json.dumps(settings))
    return [str(python.with_name("mlserver")), "start", str(CACHE / "mlserver-model")]


def _mlserver_body(prepared: Prepared, n: int) -> dict[str, Any]:
    row = _numbers(prepared, n)
    tensor = {"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": row}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _mlflow(python: Path, prepared: Prepared) -> None:
    shutil.rmtree(CACHE / "mlflow-model", ignore_errors=True)
    words = [str(python), str(HERE / "servers/mlflow_save.py"), str(prepared.trees), str(CACHE / "mlflow-model")]
    subprocess.run(words, check=True, capture_output=True, env=_environment(python, prepared))


SERVERS = (
    Server(
        "gitml", (), "/models/delay/predict",
        lambda python, p, port: [
            str(python), "-m", "gitml", "-C", str(p.app), "serve", "delay", "--port", str(port),
            "--log", str(CACHE / "log"),
        ],
        lambda p, n: {"rows": [p.words[n]]},
        lambda found: found["outputs"]["p_late"][0],
    ),
    Server(
        "starlette + uvicorn", (), "/predict",
        lambda python, p, port: [
            str(python), str(HERE / "servers/bare.py"), str(p.artifact), str(p.signature), str(port),
        ],
        lambda p, n: {"rows": [p.words[n]]},
        lambda found: found["p_late"][0],
    ),
    Server(
        "MLServer", ("mlserver", "mlserver-sklearn"), "/v2/models/delay/infer", _mlserver_command, _mlserver_body,
        lambda found: found["outputs"][0]["data"][1], _mlserver,
    ),
    Server(
        "LitServe", ("litserve",), "/predict",
        lambda python, p, port: [str(python), str(HERE / "servers/litserve_app.py"), str(p.trees), str(port)],
        lambda p, n: {"rows": [_numbers(p, n)]},
        lambda found: found["p_late"][0],
    ),
    Server(
        "BentoML", ("bentoml",), "/predict",
        lambda python, p, port: [
            str(python), "-m", "bentoml", "serve", "bentoml_app:Delay", "--working-dir", str(HERE / "servers"),
            "--host", "127.0.0.1", "--port", str(port),
        ],
        lambda p, n: {"rows": [_numbers(p, n)]},
        lambda found: found[0],
    ),
    Server(
        "MLflow", ("mlflow",), "/invocations",
        lambda python, p, port: [
            str(python), "-m", "mlflow", "models", "serve", "-m", str(CACHE / "mlflow-model"), "--env-manager", "local",
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        ],
        lambda p, n: {"inputs": [_numbers(p, n)]},
        lambda found: found["predictions"][0][1],
        _mlflow,
    ),
)  # fmt: skip


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


def _environment(python: Path, prepared: Prepared) -> dict[str, str]:
    return {**os.environ, **QUIET, "MODEL": str(prepared.trees), "PATH": f"{python.parent}:{os.environ['PATH']}"}


def _free() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@contextmanager
def running(server: Server, python: Path, prepared: Prepared) -> Iterator[tuple[str, psutil.Process]]:
    """The address that takes requests, when it does, and the process, which is stopped with its children."""
    port = _free()
    log = CACHE / f"{server.name.replace(' ', '')}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            server.command(python, prepared, port), stdout=said, stderr=said, cwd=CACHE, start_new_session=True,
            env=_environment(python, prepared),
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
    return {"rps": found["requests"] / found["seconds"], "p50": found["p50"], "p99": found["p99"]}


def memory(whole: psutil.Process) -> float:
    """Megabytes of the server with its children; what they share counts once."""
    return sum(p.memory_full_info().pss for p in [whole, *whole.children(recursive=True)]) / 1e6


def measure(server: Server, python: Path, prepared: Prepared) -> dict[str, float]:
    with running(server, python, prepared) as (url, whole):
        check(server, url, prepared)
        load(server, url, prepared, max(CONCURRENCIES), 1)
        found = {
            f"{key} at {c}": value
            for c in CONCURRENCIES
            for key, value in load(server, url, prepared, c, SECONDS).items()
        }
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
    columns = ["rps at 1", "p50 at 1", "p99 at 1", "rps at 32", "p50 at 32", "p99 at 32", "memory"]
    print(f"{'':28}" + "".join(f"{column:>18}" for column in columns))
    for name, found in medians.items():
        cells = [f"{found[c]:.4g}" + (f" ({ours[c] / found[c]:.2f} ×)" if ours else "") for c in columns]
        print(f"{name + ' ' + found['version']:28}" + "".join(f"{cell:>18}" for cell in cells))
    for name, reason in missing.items():
        print(f"{name:28}  not measured: {reason}")
    print("requests/s; ms; MB; in brackets gitml ÷ the other. Medians of", ROUNDS, "rounds, of", SECONDS, "s each")
    print(json.dumps({"benchmark": "serving", "rounds": ROUNDS, "medians": medians, "missing": missing}))


if __name__ == "__main__":
    main()
