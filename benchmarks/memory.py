"""What each further process of a server takes of memory, by kind of model; pages that processes share count once.

A model is loaded by two processes and by more; the difference, shared out, is what each further one takes. The first
line is what a process takes by itself, Python and libraries: a logistic regression of twenty numbers.
``PROCESSES=4 python -m benchmarks.memory [boosting forest …]``; ``COPIES=48`` makes the forest four times as large.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parent.parent / "tests"
PROCESSES = int(os.environ.get("PROCESSES", "4"))
COPIES = int(os.environ.get("COPIES", "12"))
COLUMNS, WIDE = 20, 4096


def rows() -> tuple[Any, Any]:
    drawn = np.random.default_rng(0)
    given = drawn.normal(size=(40_000, COLUMNS))
    return given, (given[:, 0] + drawn.normal(size=len(given)) > 0).astype(int)


def skops_file(model: Any) -> tuple[str, bytes]:
    import skops.io

    return "model.skops", skops.io.dumps(model)


def logistic() -> tuple[str, bytes]:
    from sklearn.linear_model import LogisticRegression

    return skops_file(LogisticRegression().fit(*rows()))


def forest() -> tuple[str, bytes]:
    from sklearn.ensemble import RandomForestClassifier

    fitted = RandomForestClassifier(8, random_state=0).fit(*rows())
    fitted.estimators_ = [copy.deepcopy(tree) for tree in fitted.estimators_ * COPIES]
    return skops_file(fitted)


def boosting() -> tuple[str, bytes]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    fitted = HistGradientBoostingClassifier(
        max_iter=8, max_leaf_nodes=2048, min_samples_leaf=5, early_stopping=False
    ).fit(*rows())
    fitted._predictors = [copy.deepcopy(trees) for trees in fitted._predictors * 40]  # noqa: SLF001
    return skops_file(fitted)


def neighbours() -> tuple[str, bytes]:
    from sklearn.neighbors import KNeighborsClassifier

    given, truth = rows()
    fitted = KNeighborsClassifier(5, algorithm="brute").fit(np.tile(given, (12, 1)), np.tile(truth, 12))
    return skops_file(fitted)


def layers() -> list[Any]:
    drawn = np.random.default_rng(0)
    sizes = [(WIDE, COLUMNS), (WIDE, WIDE), (1, WIDE)]
    return [(drawn.normal(size=size) / size[1]).astype(np.float32) for size in sizes]


def network() -> tuple[str, bytes]:
    from safetensors.numpy import save

    features = [{"kind": "number", "column": f"x{n}"} for n in range(COLUMNS)]
    steps: list[Any] = [{"kind": "linear", "weight": "0"}, {"kind": "relu"}, {"kind": "linear", "weight": "1"}]
    steps += [{"kind": "relu"}, {"kind": "linear", "weight": "2"}, {"kind": "sigmoid"}]
    described = json.dumps({"network": 1, "features": features, "layers": steps})
    return "model.safetensors", save({str(n): w for n, w in enumerate(layers())}, {"network": described})


def onnx() -> tuple[str, bytes]:
    from onnx import TensorProto, helper, numpy_helper

    names, nodes = ["x", "a", "b", "y"], []
    for n in range(3):
        nodes.append(helper.make_node("MatMul", [names[n] + ("r" if n else ""), f"w{n}"], [names[n + 1]]))
        nodes.append(helper.make_node("Relu", [names[n + 1]], [names[n + 1] + "r"]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, k]) for n, k in (("x", COLUMNS), ("y", 1))]
    held = [numpy_helper.from_array(np.ascontiguousarray(w.T), f"w{n}") for n, w in enumerate(layers())]
    graph = helper.make_graph(nodes[:-1], "g", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return "model.onnx", model.SerializeToString()


KINDS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "logistic": logistic, "boosting": boosting, "neighbours": neighbours, "forest": forest, "network": network,
    "onnx": onnx,
}  # fmt: skip


def taken(folder: Path, processes: int) -> float:
    """MB of all processes of a server that has answered."""
    from benchmarks.processes import family

    words = ["serve", "delay", "--port", "0", "--processes", str(processes)]
    server = subprocess.Popen([sys.executable, "-m", "gitml", "-C", str(folder), *words], stdout=subprocess.PIPE)
    try:
        assert server.stdout
        assert b"/docs" in server.stdout.readline()
        return sum(one.memory_full_info().pss for one in family(server.pid)) / 1e6
    finally:
        server.terminate()
        server.wait(60)


def main(names: tuple[str, ...]) -> None:
    sys.path.append(str(TESTS))
    from cli.test_serve import APPLICATION, register
    from conftest import write

    fields = {"inputs": [{"name": f"x{n}", "type": "float64"} for n in range(COLUMNS)]}
    signature = {**fields, "outputs": [{"name": "y", "type": "float64"}]}
    print(f"MB         file   2 processes   {PROCESSES} processes   each further one")
    for name in ("logistic", *names):
        with tempfile.TemporaryDirectory() as place:
            file, raw = KINDS[name]()
            folder = Path(place)
            write(folder, {"gitml.yaml": APPLICATION.replace("model.skops", file)})
            (folder / file).write_bytes(raw)
            register(folder, "delay", folder / file, signature)
            two, more = taken(folder, 2), taken(folder, PROCESSES)
        each = (more - two) / (PROCESSES - 2)
        print(f"{name:10}{len(raw) / 1e6:5.0f}{two:14,.0f}{more:14,.0f}{each:19,.0f}", flush=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or tuple(KINDS)[1:])
