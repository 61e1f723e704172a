"""Networks saved as safetensors: weights, and a description of the network in the file's metadata.

gitml runs no code of the application in the server, so the file must say what to compute, in words that gitml knows:
key `network` of the metadata holds JSON as ``Network`` describes it. Any other architecture is exported to ONNX.
On cores numpy computes it: for networks of this kind it is faster than torch for a row and as fast for a thousand,
and a server without torch is a gigabyte smaller. Where there is a GPU, and torch, they compute it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gitml.errors import IntegrityError, UsageError
from gitml.models import devices, torchnetwork
from gitml.models.model import OpenedModel
from gitml.models.network import Activation, Layer, LayerNorm, Linear, Missing, Network, Number, Words
from gitml.models.sharedarrays import Keep
from gitml.models.signature import Signature

Weights = Mapping[str, NDArray[Any]]


def opened(content: bytes, signature: Signature, keep: Keep) -> OpenedModel:
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
    kept, turned = _kept(network, {name: weights[name].astype(np.float32) for name in wanted}, keep)
    features = _features(network, kept, signature)
    computed = layers_on_cores(network.layers, kept, turned)

    def on_cores(rows: Any) -> Any:
        return computed(features(rows))

    words = {f.column: frozenset(f.words) for f in network.features if isinstance(f, Words)}
    gpu = devices.gpu()
    if gpu is None:
        return OpenedModel(on_cores, "arrays", words=words)
    on_gpu = torchnetwork.computed(network.layers, kept, turned, gpu.torch_name)
    return OpenedModel(lambda rows: on_gpu(features(rows)), "arrays", words=words, device=gpu, on_cores=on_cores)


def layers_on_cores(layers: Sequence[Layer], weights: Weights, turned: Weights) -> Callable[[Any], Any]:
    """As ``torchnetwork.computed``, by numpy."""
    steps = [_layer(layer, weights, turned) for layer in layers]

    def score(features: Any) -> Any:
        for step in steps:
            features = step(features)
        return features.astype(np.float64)

    return score


def _kept(network: Network, weights: Weights, keep: Keep) -> tuple[Weights, Weights]:
    """All but what only linear layers have; and the weights of these turned to (in, out), as they are multiplied."""
    linear = [layer for layer in network.layers if isinstance(layer, Linear)]
    turned = {layer.weight: np.ascontiguousarray(weights[layer.weight].T) for layer in linear}
    others = {f.tensor for f in network.features if isinstance(f, Words)}
    others |= {name for layer in network.layers for name in _tensors(layer)[isinstance(layer, Linear) :]}
    plain = {name: weight for name, weight in weights.items() if name in others}
    kept = keep([*plain.values(), *turned.values()])
    return dict(zip(plain, kept[: len(plain)], strict=True)), dict(zip(turned, kept[len(plain) :], strict=True))


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


def _tensors(layer: Layer) -> list[str]:
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


def _layer(layer: Layer, weights: Weights, turned: Weights) -> Callable[[Any], Any]:
    if isinstance(layer, Linear):
        weight = turned[layer.weight]
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
