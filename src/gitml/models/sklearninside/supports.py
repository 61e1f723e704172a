"""Do the arrays of a support vector machine, and of sparse matrices, fit one another? libsvm reads them on trust."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gitml.errors import IntegrityError


def check(values: Iterable[Any]) -> None:
    """``values``: all that a model holds. Raises IntegrityError for arrays that would be read beyond their ends."""
    for value in values:
        try:
            sound = _sound(value)
        except (AttributeError, KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            what = f"the arrays of a {type(value).__name__} in the model do not fit one another"
            raise IntegrityError(f"{what}: the file was made to harm", "train the model again")


def _sound(value: Any) -> bool:
    if type(value).__module__.startswith("scipy.sparse") and hasattr(value, "check_format"):
        value.check_format(full_check=True)
        return True
    own = getattr(value, "__dict__", {})
    return "_n_support" not in own or _fits(own, classes=value._impl in ("c_svc", "nu_svc"))  # noqa: SLF001


def _fits(own: dict[str, Any], *, classes: bool) -> bool:
    """Without classes both counts are that of all vectors."""
    counts, vectors = np.asarray(own["_n_support"]), own["support_vectors_"]
    groups, count = len(counts), vectors.shape[0]
    pairs = groups * (groups - 1) // 2
    return (
        groups > 1
        and bool((counts >= 0).all())
        and (int(counts.sum()) == count if classes else counts.tolist() == [count, count])
        and own["support_"].shape == (count,)
        and vectors.ndim == 2
        and own["_dual_coef_"].shape == (groups - 1, count)
        and own["_intercept_"].shape == (pairs,)
        and all(own[name].shape in ((0,), (pairs,)) for name in ("_probA", "_probB"))
    )
