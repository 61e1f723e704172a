"""What a model answers on average where one input has a value: J. H. Friedman, "Greedy function approximation: a
gradient boosting machine", Annals of Statistics 29 (2001), section 8.2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.attribution.leaves import Floats

Rows = NDArray[Any]


def partial_dependence(score: Callable[[Rows], Floats], rows: Rows, column: int, values: Sequence[Any]) -> list[float]:
    """The mean answer to ``rows`` (n, inputs), encoded, with each of ``values``, encoded too, in ``column``.

    >>> double = lambda rows: 2 * rows.sum(axis=1)
    >>> partial_dependence(double, np.array([[1.0, 5.0], [3.0, 7.0]]), 0, [0.0, 1.0])
    [12.0, 14.0]
    """
    found = []
    for value in values:
        asked = rows.copy()
        asked[:, column] = value
        found.append(float(np.mean(score(asked))))
    return found
