"""The networks of ``gitml.models.network`` computed by torch, on whatever device it is told.

In float32, without TF32, so that answers are those of cores up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.errors import OutsideError
from gitml.models.network import Layer, LayerNorm, Linear

Weights = Mapping[str, NDArray[Any]]
# Rows that lie on a device at once: a data set of any size takes as much of its memory.
BATCH = 16_384


def computed(
    layers: Sequence[Layer], weights: Weights, turned: Weights, device: str
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """From features (rows, columns) to answers (rows, outputs). ``turned``: weights of linear layers as (in, out).

    The weights move to ``device``, a name of torch's, now.
    """
    import torch

    place = torch.device(device)

    def moved(array: NDArray[Any]) -> Any:
        # A copy: torch wants to be able to write to what it is given, and shared pages are nobody's alone.
        return torch.tensor(array, device=place)

    try:
        steps = [_step(torch, layer, weights, turned, moved) for layer in layers]
    except RuntimeError as exc:  # torch's own word for a device without room, or one that went
        hint = "free its memory, or serve on cores: CUDA_VISIBLE_DEVICES="
        raise OutsideError(f"the network does not fit onto {device}: {str(exc).splitlines()[0]}", hint) from exc

    def score(features: NDArray[np.float32]) -> NDArray[np.float64]:
        found = []
        with torch.inference_mode():
            for start in range(0, max(1, len(features)), BATCH):
                x = moved(features[start : start + BATCH])
                for step in steps:
                    x = step(x)
                found.append(x.double().cpu().numpy())
        return np.concatenate(found)

    return score


def _step(torch: Any, layer: Layer, weights: Weights, turned: Weights, moved: Callable[[Any], Any]) -> Any:
    if isinstance(layer, Linear):
        weight, bias = moved(turned[layer.weight]), moved(weights[layer.bias]) if layer.bias else None
        return (lambda x: x @ weight) if bias is None else (lambda x: torch.addmm(bias, x, weight))
    if isinstance(layer, LayerNorm):
        scale, shift = moved(weights[layer.weight]), moved(weights[layer.bias])
        return lambda x: torch.nn.functional.layer_norm(x, x.shape[1:], scale, shift, layer.eps)
    if layer.kind == "softmax":
        return lambda x: torch.softmax(x.double(), dim=1)
    if layer.kind == "sigmoid":
        return lambda x: torch.sigmoid(x.double())
    return {"relu": torch.relu, "tanh": torch.tanh, "silu": torch.nn.functional.silu}[layer.kind]
