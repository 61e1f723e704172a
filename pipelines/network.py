"""The model `mlp`: a small network with embeddings, saved as tensors and a JSON text, which hold no code."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from files import StageError, replacing, say
from flights import CATEGORIES

BATCH = 4096


@dataclass(frozen=True)
class Config:
    """All that is needed beside the weights: columns, words, scaling and shape of the network.

    A word's number is its place in `words` plus one; 0 is any other word. A number is scaled to mean 0 and deviation
    1; a missing one becomes 0 and sets a flag of its own.
    """

    words: dict[str, list[str]]
    numbers: list[str]
    mean: list[float]
    deviation: list[float]
    embedding: int
    hidden: list[int]
    dropout: float


@dataclass(frozen=True)
class Trained:
    """A network with its configuration."""

    config: Config
    network: "Network"


class Network(nn.Module):
    """Embeddings and scaled numbers into fully connected layers; returns one logit a row."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(len(words) + 1, config.embedding) for words in config.words.values()
        )
        width = config.embedding * len(config.words) + 2 * len(config.numbers)
        layers: list[nn.Module] = []
        for size in config.hidden:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(config.dropout)]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """`codes` is (rows, words) of int64, `numbers` (rows, 2 * numbers) of float32."""
        parts = [embed(codes[:, place]) for place, embed in enumerate(self.embeddings)]
        return self.layers(torch.cat([*parts, numbers], dim=1)).squeeze(1)


def device() -> torch.device:
    """A GPU if there is one, else the CPU; either way set up so that equal runs give equal results."""
    # cuBLAS is deterministic only with this set before its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Sums of floats depend on how threads share the work.
    torch.set_num_threads(1)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def configure(rows: pd.DataFrame, columns: Sequence[str], settings: Mapping[str, Any]) -> Config:
    """Words and scaling from the rows to fit on."""
    numbers = [column for column in columns if column not in CATEGORIES]
    values = rows[numbers].astype(float)
    deviation = values.std(ddof=0).fillna(0.0)
    return Config(
        words={column: sorted(rows[column].unique()) for column in CATEGORIES},
        numbers=numbers,
        mean=values.mean().fillna(0.0).tolist(),
        deviation=deviation.where(deviation > 0, 1.0).tolist(),
        embedding=settings["embedding"],
        hidden=list(settings["hidden"]),
        dropout=settings["dropout"],
    )


def tensors(config: Config, rows: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """Raw columns as the network takes them."""
    codes = [pd.Index(words).get_indexer(rows[column]) + 1 for column, words in config.words.items()]
    values = rows[config.numbers].to_numpy(float)
    scaled = (values - np.array(config.mean)) / np.array(config.deviation)
    missing = np.isnan(scaled)
    numbers = np.concatenate([np.where(missing, 0.0, scaled), missing], axis=1).astype(np.float32)
    return torch.from_numpy(np.stack(codes, axis=1).astype(np.int64)), torch.from_numpy(numbers)


def fit(rows: pd.DataFrame, columns: Sequence[str], truth: pd.Series, settings: Mapping[str, Any]) -> Trained:
    """Train for a fixed number of epochs; the learning rate falls to nothing along half a cosine."""
    where = device()
    torch.manual_seed(settings["seed"])
    order = torch.Generator().manual_seed(settings["seed"])
    config = configure(rows, columns, settings)
    network = Network(config).to(where)
    codes, numbers = (tensor.to(where) for tensor in tensors(config, rows))
    target = torch.from_numpy(truth.to_numpy(np.float32)).to(where)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=settings["epochs"])
    say(f"device: {where}; {sum(weight.numel() for weight in network.parameters()):,} weights")
    for epoch in range(1, settings["epochs"] + 1):
        network.train()
        total = 0.0
        for batch in torch.randperm(len(target), generator=order).to(where).split(settings["batch"]):
            optimizer.zero_grad()
            logits = network(codes[batch], numbers[batch])
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        say(f"epoch {epoch}: loss {total / len(target):.4f}")
    return Trained(config, network)


def predict(model: Trained, rows: pd.DataFrame) -> NDArray[np.float64]:
    """The probability that each flight is late."""
    where = device()
    network = model.network.to(where).eval()
    codes, numbers = tensors(model.config, rows)
    with torch.inference_mode():
        parts = [
            network(some_codes.to(where), some_numbers.to(where)).double().sigmoid().cpu()
            for some_codes, some_numbers in zip(codes.split(BATCH), numbers.split(BATCH), strict=True)
        ]
    return torch.cat(parts).numpy()


def described(config: Config) -> dict[str, Any]:
    """The network in the words that the server knows, which runs no code of ours."""
    features: list[dict[str, Any]] = [
        {"kind": "words", "column": column, "words": words, "tensor": f"embeddings.{place}.weight"}
        for place, (column, words) in enumerate(config.words.items())
    ]
    scaling = zip(config.numbers, config.mean, config.deviation, strict=True)
    features += [{"kind": "number", "column": c, "mean": m, "deviation": d} for c, m, d in scaling]
    features += [{"kind": "missing", "column": column} for column in config.numbers]
    layers: list[dict[str, Any]] = []
    # Between two linear layers there are two more modules: activation and dropout.
    for place in range(len(config.hidden) + 1):
        name = f"layers.{3 * place}"
        layers += [{"kind": "linear", "weight": f"{name}.weight", "bias": f"{name}.bias"}, {"kind": "relu"}]
    return {"network": 1, "features": features, "layers": [*layers[:-1], {"kind": "sigmoid"}]}


def save(model: Trained, path: Path) -> None:
    """Weights, and as JSON in the file's metadata what a server needs to know, with the configuration in it."""
    weights = {name: tensor.cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    # One entry: safetensors writes several in an order that changes from run to run.
    metadata = {"network": json.dumps({**described(model.config), "about": asdict(model.config)})}
    with replacing(path) as temporary:
        save_file(weights, temporary, metadata=metadata)


def load(path: Path) -> Trained:
    """Load what `save` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            config = Config(**json.loads((file.metadata() or {})["network"])["about"])
            network = Network(config)
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StageError(f"{path} cannot be loaded: {error}. Run the stage `mlp-train`") from error
    return Trained(config, network)
