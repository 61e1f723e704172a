"""The arrays of numbers that a scikit-learn model holds, replaced by equal ones.

Nodes of histogram boosting, weights of networks, rows of neighbours, coefficients. Not the nodes of forests and single
trees: these are compiled objects, which copy what they are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gitml.models.sharedarrays import Keep
from gitml.models.sklearnsettings import everything


def replace(model: Any, keep: Keep) -> None:
    """What stands for one array in two places stands for one array afterwards."""
    held = list(everything(model))
    found = {id(value): value for value in held if type(value) is np.ndarray}
    kept = dict(zip(found, keep(list(found.values())), strict=True))
    if all(kept[key] is value for key, value in found.items()):
        return
    for value in held:
        if type(value) is list:
            value[:] = [kept.get(id(item), item) for item in value]
        elif isinstance(own := value if type(value) is dict else getattr(value, "__dict__", None), dict):
            own.update({name: kept[id(item)] for name, item in own.items() if id(item) in kept})
