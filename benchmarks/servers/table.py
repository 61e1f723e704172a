"""How each server is started and asked."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = Path(tempfile.gettempdir()) / "gitml-benchmarks"
# No more threads than the machine has cores, for anybody.
QUIET = {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True"}


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


def environment(python: Path, prepared: Prepared) -> dict[str, str]:
    return {**os.environ, **QUIET, "MODEL": str(prepared.trees), "PATH": f"{python.parent}:{os.environ['PATH']}"}


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
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings |= {"parallel_workers": 0, "debug": False, "metrics_endpoint": None}
    (CACHE / "mlserver-model" / "settings.json").write_text(json.dumps(settings))
    return [str(python.with_name("mlserver")), "start", str(CACHE / "mlserver-model")]


def _mlserver_body(prepared: Prepared, n: int) -> dict[str, Any]:
    row = _numbers(prepared, n)
    tensor = {"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": row}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _mlflow(python: Path, prepared: Prepared) -> None:
    shutil.rmtree(CACHE / "mlflow-model", ignore_errors=True)
    words = [str(python), str(HERE / "mlflow_save.py"), str(prepared.trees), str(CACHE / "mlflow-model")]
    subprocess.run(words, check=True, capture_output=True, env=environment(python, prepared))


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
            str(python), str(HERE / "bare.py"), str(p.artifact), str(p.signature), str(port),
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
        lambda python, p, port: [str(python), str(HERE / "litserve_app.py"), str(p.trees), str(port)],
        lambda p, n: {"rows": [_numbers(p, n)]},
        lambda found: found["p_late"][0],
    ),
    Server(
        "BentoML", ("bentoml",), "/predict",
        lambda python, p, port: [
            str(python), "-m", "bentoml", "serve", "bentoml_app:Delay", "--working-dir", str(HERE),
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
