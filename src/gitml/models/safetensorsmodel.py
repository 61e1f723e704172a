"""Networks saved as safetensors: weights, and a description of the network in the file's metadata.

gitml runs no code of the application in the server, so the file must say what to compute, in words that gitml knows:
key `network` of the metadata holds JSON as ``Network`` describes it. Any other architecture is exported to ONNX.
numpy computes it: for networks of this kind it is faster than torch for a row and as fast for a thousand, and a
server without torch is a gigabyte smaller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import IntegrityError, UsageError
from gitml.models.model import OpenedModel
from gitml.models.signature import Signature

Weights = Mapping[str, NDArray[Any]]


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(_Described):
    """An input of words. A word's number is its place here plus one; 0 is any other word, or none.

    ``tensor`` is the embedding: shape (words + 1, width).
    """

    kind: Literal["words"]
    column: str
    words: tuple[str, ...]
    tensor: str


class Number(_Described):
    """An input number, scaled to (x - mean) / deviation; a missing one becomes 0."""

    kind: Literal["number"]
    column: str
    mean: float = 0.0
    deviation: float = Field(1.0, gt=0)


class Missing(_Described):
    """1 where the input is missing, else 0."""

    kind: Literal["missing"]
    column: str


class Linear(_Described):
    """weight: shape (out, in), as torch keeps it; bias: (out,)."""

    kind: Literal["linear"]
    weight: str
    bias: str | None = None


class LayerNorm(_Described):
    """Normalised over the columns of a row, then scaled and shifted."""

    kind: Literal["layer_norm"]
    weight: str
    bias: str
    eps: float = Field(1e-5, gt=0)


class Activation(_Described):
    """A function of each number; softmax: of each row. sigmoid and softmax are computed in float64."""

    kind: Literal["relu", "tanh", "silu", "sigmoid", "softmax"]


class Network(_Described):
    """The features side by side, in order, are the first layer's input. ``about`` is the application's own."""

    network: Literal[1]
    about: Any = None
    features: Annotated[
        tuple[Annotated[Words | Number | Missing, Field(discriminator="kind")], ...], Field(min_length=1)
    ]
    layers: Annotated[
        tuple[Annotated[Linear | LayerNorm | Activation, Field(discriminator="kind")], ...], Field(min_length=1)
    ]


def opened(content: bytes, signature: Signature) -> OpenedModel:
    """Raises IntegrityError for a damaged file, UsageError for a network that is not described or does not fit."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError as exc:
        raise UsageError("safetensors is not installed", "pip install 'gitml[serve]'") from exc
    try:
        weights = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as exc:
        raise IntegrityError(f"the safetensors file cannot be loaded: {exc}", "train or fetch the model again") from exc
    network = _described(content)
    wanted = [f.tensor for f in network.features if isinstance(f, Words)]
    wanted += [name for layer in network.layers for name in _tensors(layer)]
    absent = [name for name in wanted if name not in weights]
    if absent:
        raise UsageError(f"the network's description names the tensor {absent[0]}, which the file does not hold")
    weights = {name: weights[name].astype(np.float32) for name in wanted}
    features = _features(network, weights, signature)
    layers = [_layer(layer, weights) for layer in network.layers]

    def score(rows: Any) -> Any:
        found = features(rows)
        for layer in layers:
            found = layer(found)
        return found.astype(np.float64)

    words = {f.column: frozenset(f.words) for f in network.features if isinstance(f, Words)}
    return OpenedModel(score, "arrays", words=words)


def _described(content: bytes) -> Network:
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    if "network" not in metadata:
        raise UsageError(
            "the safetensors file does not say what to compute with its weights",
            "put a description of the network into its metadata (docs/reference/serving.md), or export to ONNX",
        )
    try:
        return Network.model_validate_json(metadata["network"])
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the network's description is wrong: {place}: {first['msg']}") from exc


def _tensors(layer: Linear | LayerNorm | Activation) -> list[str]:
    return [] if isinstance(layer, Activation) else [layer.weight, *([layer.bias] if layer.bias else [])]


def _features(network: Network, weights: Weights, signature: Signature) -> Callable[[Any], Any]:
    places = {f.name: place for place, f in enumerate(signature.inputs)}
    strange = [f.column for f in network.features if f.column not in places]
    if strange:
        raise UsageError(f"the network takes {strange[0]}, which the signature does not name")
    if signature.dtype is object:
        raise UsageError("the signature has words without categories, a network needs their list")
    words = [
        (places[f.column], _codes(f, signature.inputs[places[f.column]].categories), weights[f.tensor])
        for f in network.features
        if isinstance(f, Words)
    ]
    kinds = [f.kind for f in network.features]
    if kinds != sorted(kinds, key=["words", "number", "missing"].index):
        raise UsageError("the network's features are not in the order words, number, missing")
    numbers = [f for f in network.features if isinstance(f, Number)]
    mean, deviation = np.array([f.mean for f in numbers]), np.array([f.deviation for f in numbers])
    taken = np.array([places[f.column] for f in numbers], np.intp)
    flags = np.array([places[f.column] for f in network.features if isinstance(f, Missing)], np.intp)

    def features(rows: Any) -> Any:
        scaled = (rows[:, taken] - mean) / deviation
        scaled[np.isnan(scaled)] = 0.0
        embedded = [table[codes[rows[:, place].astype(np.intp)]] for place, codes, table in words]
        return np.concatenate(
            [*embedded, scaled.astype(np.float32), np.isnan(rows[:, flags]).astype(np.float32)], axis=1
        )

    return features


def _codes(feature: Words, categories: tuple[str, ...] | None) -> NDArray[np.intp]:
    """From a word's place in the signature (unknown and missing last) to its row in the embedding."""
    if categories is None:
        raise UsageError(f"{feature.column} is a word of the network, but has no categories in the signature")
    places = {word: place + 1 for place, word in enumerate(feature.words)}
    return np.array([*[places.get(word, 0) for word in categories], 0, 0], np.intp)


def _layer(layer: Linear | LayerNorm | Activation, weights: Weights) -> Callable[[Any], Any]:
    if isinstance(layer, Linear):
        weight = np.ascontiguousarray(weights[layer.weight].T)
        bias = weights[layer.bias] if layer.bias else np.float32(0)
        return lambda x: x @ weight + bias
    if isinstance(layer, LayerNorm):
        scale, shift, eps = weights[layer.weight], weights[layer.bias], np.float32(layer.eps)

        def normed(x: Any) -> Any:
            return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps) * scale + shift

        return normed
    return _ACTIVATIONS[layer.kind]


def _sigmoid(x: Any) -> Any:
    x = x.astype(np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _softmax(x: Any) -> Any:
    x = x.astype(np.float64)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "silu": lambda x: (x * _sigmoid(x)).astype(x.dtype),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}
