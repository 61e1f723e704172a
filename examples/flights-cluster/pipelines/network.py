"""The model: a small network on numbers, saved as tensors and a JSON text, which hold no code."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from files import replacing

INPUTS = ("hour", "weekday", "distance", "leaving", "temp", "wind_speed", "precip", "visib")


class Network(nn.Module):
    """Scaled numbers into fully connected layers; one logit a row."""

    def __init__(self, hidden: Sequence[int]) -> None:
        super().__init__()
        sizes, steps = [2 * len(INPUTS), *hidden, 1], list[nn.Module]()
        for before, after in pairwise(sizes):
            steps += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*steps[:-1])

    def forward(self, numbers: Tensor) -> Tensor:
        """From (rows, 2 * inputs) to (rows,)."""
        return self.layers(numbers).squeeze(1)


def read(folder: Path = Path("data/features")) -> pd.DataFrame:
    """All rows in one order, whatever files they lie in."""
    rows = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))])
    return rows.sort_values(["scheduled", "origin", "carrier", "flight", "dest"], ignore_index=True)


def split(rows: pd.DataFrame, days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to fit on, and those of the last days."""
    first = rows["scheduled"].max().normalize() - pd.Timedelta(days=days - 1)
    return rows[rows["scheduled"] < first], rows[rows["scheduled"] >= first]


def scaled(rows: pd.DataFrame, mean: Sequence[float], deviation: Sequence[float]) -> NDArray[np.float32]:
    """Numbers around 0, missing ones 0, and beside them which are missing."""
    values = (rows[list(INPUTS)].to_numpy(float) - np.array(mean)) / np.array(deviation)
    missing = np.isnan(values)
    return np.concatenate([np.where(missing, 0.0, values), missing], axis=1).astype(np.float32)


def save(network: Network, mean: Sequence[float], deviation: Sequence[float], path: Path) -> None:
    """With what a server needs to know, which runs no code of ours."""
    features = [
        {"kind": "number", "column": c, "mean": m, "deviation": d}
        for c, m, d in zip(INPUTS, mean, deviation, strict=True)
    ]
    features += [{"kind": "missing", "column": column} for column in INPUTS]
    layers = []
    for place, step in enumerate(network.layers):
        name = f"layers.{place}"
        is_linear = isinstance(step, nn.Linear)
        layers.append(
            {"kind": "linear", "weight": f"{name}.weight", "bias": f"{name}.bias"} if is_linear else {"kind": "relu"}
        )
    described = {"network": 1, "features": features, "layers": [*layers, {"kind": "sigmoid"}]}
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(weights, temporary, metadata={"network": json.dumps(described)})


def predict(path: Path, rows: pd.DataFrame) -> NDArray[np.float64]:
    """The probability that each flight is late, by the file that `save` wrote."""
    with safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()["network"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    numbers = [feature for feature in told["features"] if feature["kind"] == "number"]
    steps = [weights[layer["weight"]].shape[0] for layer in told["layers"] if layer["kind"] == "linear"]
    network = Network(steps[:-1])
    network.load_state_dict(weights)
    given = torch.from_numpy(scaled(rows, [n["mean"] for n in numbers], [n["deviation"] for n in numbers]))
    with torch.inference_mode():
        return network(given).double().sigmoid().numpy()
