"""Small real models for the tests of serving: fitted once, on made-up flights."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from safetensors.numpy import save as save_tensors
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

CARRIERS, ORIGINS = ["AA", "DL", "UA"], ["EWR", "JFK"]
SIGNATURE: dict[str, Any] = {
    "inputs": [
        {"name": "carrier", "type": "string", "categories": CARRIERS},
        {"name": "distance", "type": "int64"},
        {"name": "origin", "type": "string", "categories": ORIGINS},
        {"name": "age", "type": "float64", "nullable": True},
    ],
    "outputs": [{"name": "p_late", "type": "float64"}],
}
NUMBERS = ["distance", "age"]


def columns(count: int, seed: int = 1) -> pd.DataFrame:
    """Rows with known and unknown words and missing ages."""
    generator = np.random.Generator(np.random.PCG64(seed))
    age = generator.uniform(0, 30, count)
    age[generator.random(count) < 0.2] = np.nan
    return pd.DataFrame(
        {
            "carrier": pd.Series(generator.choice([*CARRIERS, "ZZ"], count), dtype="object"),
            "distance": generator.integers(100, 3000, count),
            "origin": pd.Series(generator.choice(ORIGINS, count), dtype="object"),
            "age": age,
        }
    )


def _known(count: int) -> tuple[pd.DataFrame, Any]:
    table = columns(count, seed=2)
    table.loc[table["carrier"] == "ZZ", "carrier"] = "UA"
    truth = (table["distance"] / 3000 + (table["carrier"] == "AA") + np.arange(count) % 7 / 10 > 0.9).astype(int)
    return table, truth


def _ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)


def _scaled() -> Pipeline:
    return Pipeline([("fill", SimpleImputer(add_indicator=True)), ("scale", StandardScaler())])


_MIXED: dict[str, Callable[[], Pipeline]] = {
    "onehot": lambda: Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("words", OneHotEncoder(handle_unknown="ignore"), ["origin", "carrier"]),
                        ("numbers", _scaled(), NUMBERS),
                    ]
                ),
            ),
            ("scale", StandardScaler(with_mean=False)),
            ("regression", LogisticRegression()),
        ]
    ),
    "dropped": lambda: Pipeline(
        [
            ("columns", ColumnTransformer([("words", _ordinal(), ["carrier"]), ("same", "passthrough", [3])])),
            ("trees", HistGradientBoostingClassifier(max_iter=5)),
        ]
    ),
    "target": lambda: Pipeline(
        [
            (
                "columns",
                ColumnTransformer([("words", TargetEncoder(), ["carrier", "origin"])], remainder="passthrough"),
            ),
            ("trees", HistGradientBoostingClassifier(max_iter=5)),
        ]
    ),
}


def mixed_pipelines() -> list[str]:
    """Names of pipelines that exercise the ways from a table to arrays."""
    return list(_MIXED)


@cache
def fitted(name: str) -> Pipeline:
    """`boosting` (as the reference application's) or one of ``mixed_pipelines``."""
    table, truth = _known(500)
    boosting = HistGradientBoostingClassifier(max_iter=30, categorical_features=None, early_stopping=False)
    words = ColumnTransformer([("words", _ordinal(), ["carrier", "origin"])], remainder="passthrough")
    model = Pipeline([("columns", words), ("trees", boosting)]) if name == "boosting" else _MIXED[name]()
    return model.fit(table, truth)


def saved(model: Any, path: Path) -> Path:
    """As a skops file."""
    skops.io.dump(model, path)
    return path


@cache
def network() -> tuple[bytes, Callable[[pd.DataFrame], Any]]:
    """A described network as safetensors, and the same computed by torch."""
    import torch

    torch.manual_seed(3)
    carriers, origins = torch.nn.Embedding(len(CARRIERS) + 1, 4), torch.nn.Embedding(len(ORIGINS) + 1, 2)
    layers = torch.nn.Sequential(
        torch.nn.Linear(10, 8), torch.nn.ReLU(), torch.nn.LayerNorm(8), torch.nn.SiLU(), torch.nn.Linear(8, 1)
    )
    described = {
        "network": 1,
        "features": [
            {"kind": "words", "column": "carrier", "words": CARRIERS, "tensor": "carriers"},
            {"kind": "words", "column": "origin", "words": ORIGINS, "tensor": "origins"},
            *({"kind": "number", "column": c, "mean": 900.0, "deviation": 300.0} for c in NUMBERS),
            *({"kind": "missing", "column": c} for c in NUMBERS),
        ],
        "layers": [
            {"kind": "linear", "weight": "0.weight", "bias": "0.bias"},
            {"kind": "relu"},
            {"kind": "layer_norm", "weight": "2.weight", "bias": "2.bias"},
            {"kind": "silu"},
            {"kind": "linear", "weight": "4.weight", "bias": "4.bias"},
            {"kind": "sigmoid"},
        ],
    }
    tensors = {name: tensor.numpy() for name, tensor in layers.state_dict().items()}
    tensors |= {"carriers": carriers.weight.detach().numpy(), "origins": origins.weight.detach().numpy()}

    def predict(table: pd.DataFrame) -> Any:
        codes = [
            torch.tensor([words.index(w) + 1 if w in words else 0 for w in table[c]])
            for c, words in (("carrier", CARRIERS), ("origin", ORIGINS))
        ]
        values = torch.from_numpy(((table[NUMBERS].to_numpy(float) - 900.0) / 300.0).astype(np.float32))
        missing = values.isnan()
        with torch.inference_mode():
            found = layers(
                torch.cat([carriers(codes[0]), origins(codes[1]), values.nan_to_num(0.0), missing.float()], dim=1)
            )
        return found.double().sigmoid()[:, 0].numpy()

    return save_tensors(tensors, {"network": json.dumps(described)}), predict


def onnx_model(path: Path) -> tuple[Path, dict[str, Any]]:
    """a + 2 b, from one tensor with both."""
    onnx = __import__("pytest").importorskip("onnx")
    helper, numbers = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "weighted",
        [helper.make_tensor_value_info("x", numbers.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", numbers.FLOAT, [None, 1])],
        [helper.make_tensor("w", numbers.FLOAT, [2, 1], [1.0, 2.0])],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())
    fields = [{"name": name, "type": "float64"} for name in ("a", "b")]
    return path, {"inputs": fields, "outputs": [{"name": "y", "type": "float64"}]}


def onnx_loop(path: Path, times: int, inputs: tuple[str, ...] = ("x",)) -> Path:
    """y = the sum of ``inputs``, after ``times`` turns of a loop that does nothing: a few hundred bytes."""
    onnx = __import__("pytest").importorskip("onnx")
    helper, numbers = onnx.helper, onnx.TensorProto
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [value("i", numbers.INT64, []), value("go", numbers.BOOL, []), value("v", numbers.DOUBLE, None)],
        [value("on", numbers.BOOL, []), value("w", numbers.DOUBLE, None)],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Loop", ["n", "yes", inputs[0]], ["turned"], body=body),
            helper.make_node("Sum", ["turned", *inputs[1:]], ["y"]),
        ],
        "g",
        [value(name, numbers.DOUBLE, [None]) for name in inputs],
        [value("y", numbers.DOUBLE, [None])],
        [helper.make_tensor("n", numbers.INT64, [], [times]), helper.make_tensor("yes", numbers.BOOL, [], [True])],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(made.SerializeToString())
    return path


def onnx_patient(path: Path) -> tuple[Path, dict[str, Any]]:
    """y = x, after as many turns of a loop as x says: quick for most values."""
    onnx = __import__("pytest").importorskip("onnx")
    made = onnx.load_from_string(onnx_loop(path, 0).read_bytes())
    helper, numbers = onnx.helper, onnx.TensorProto
    del made.graph.initializer[0]
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["n"], to=numbers.INT64),
        *made.graph.node,
    ]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    path.write_bytes(made.SerializeToString())
    return path, {"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "y", "type": "float64"}]}
