"""Parts of a scikit-learn model that compiled code believes without a look, made anew from what they were made of.

Trees of neighbours hold places in memory, splines hold knots that are searched. What a file says of them is thrown
away: scikit-learn and scipy make them once more, from rows and knots that they check, in the way they did when the
model was fitted. So they are equal, and nobody else's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gitml.errors import IntegrityError
from gitml.models.sklearnsettings import everything

_TREES = {"kd_tree": "KDTree", "ball_tree": "BallTree"}
# Distances of rows as they are, without weights, matrices or functions.
_METRICS = frozenset({
    "euclidean", "l2", "manhattan", "cityblock", "l1", "chebyshev", "infinity", "minkowski", "p", "haversine",
})  # fmt: skip


def remake(model: Any) -> None:
    """Raises IntegrityError where a part cannot be made anew."""
    made = list[Any]()
    for value in everything(model):
        own = {} if isinstance(value, type) else getattr(value, "__dict__", {})
        try:
            if own.get("_fit_method") in _TREES:
                own["_tree"] = _tree(value)
                made.append(own["_tree"])
            elif type(value).__module__ == "scipy.interpolate._bsplines":
                value.__dict__ = vars(_spline(own))
        except (ArithmeticError, AttributeError, ImportError, KeyError, TypeError, ValueError) as exc:
            raise _refused(f"a {type(value).__name__} in it cannot be made anew: {exc}") from exc
    ours = set(map(id, made))
    if any(type(value).__name__ in _TREES.values() and id(value) not in ours for value in everything(model)):
        raise _refused("it holds a tree of neighbours that is not made anew")


def _refused(why: str) -> IntegrityError:
    return IntegrityError(f"the model is not loaded: {why}", "train the model again, with algorithm='brute'")


def _tree(estimator: Any) -> Any:
    """As ``NeighborsBase._fit`` makes it."""
    from sklearn import neighbors

    rows, metric, params = estimator._fit_X, estimator.effective_metric_, estimator.effective_metric_params_  # noqa: SLF001
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError("its rows are not finite numbers")
    if metric not in _METRICS:
        raise ValueError(f"its metric is {str(metric)[:40]!r}")
    power = {name: float(value) for name, value in params.items() if name == "p" and value is not None}
    if any(value is not None for name, value in params.items() if name != "p"):
        raise ValueError("its metric has more settings than p")
    return getattr(neighbors, _TREES[estimator._fit_method])(rows, int(estimator.leaf_size), metric=metric, **power)  # noqa: SLF001


def _spline(own: dict[str, Any]) -> Any:
    from scipy.interpolate import BSpline

    # Attributes have a line below in newer releases of scipy.
    knots, weights = (own[name] if name in own else own[f"_{name}"] for name in ("t", "c"))
    if not all(isinstance(part, np.ndarray) and part.dtype.kind in "fi" for part in (knots, weights)):
        raise ValueError("its knots are not numbers")
    if int(own["axis"]) != 0:
        raise ValueError("it lies along another axis")
    how = "periodic" if own["extrapolate"] == "periodic" else bool(own["extrapolate"])
    return BSpline(knots, weights, int(own["k"]), extrapolate=how)
