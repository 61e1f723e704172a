"""What a scikit-learn model from a file may hold: numbers, words, estimators and their settings, and nothing that acts.

skops makes only objects of known classes, but a known class with the right setting opens the file that a request names,
keeps a cache of pickles on the disk, or calls a function. So every value that the model holds is visited, and each is
of a kind that is known to be data, or the model is refused.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from gitml.errors import IntegrityError

# Settings through which an estimator reaches files, and the only value that does not.
_HARMLESS: Mapping[str, Any] = {"input": "content", "memory": None}
# Settings that start processes or print, without a say in any answer: the server decides on these itself.
_OURS: Mapping[str, Any] = {"n_jobs": None, "verbose": 0}
# Words are found by these alone: another pattern can take for ever on a text that a request brings.
_WORDS = re.compile(
    r"(\(\?[aiu]+\))?(\\b)?"
    r"(\\w(\\w)*(\+|\{\d{1,2},(\d{1,2})?\})?(\\b)?|(?P<one>\\[dS]|\[(\\.|[^\[\]\\])+\])(?P=one)*(\+|\{\d{1,2},(\d{1,2})?\})?)"
)
# Functions that compute and no more: how boosted trees check their rows, by what features were chosen or pooled, and
# what a search or a threshold was scored by.
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "numpy": ("max", "mean", "median", "min"),
    "sklearn.utils.validation": ("check_array",),
    "sklearn.feature_selection._univariate_selection": ("chi2", "f_classif", "f_regression", "r_regression"),
    "sklearn.feature_selection._mutual_info": ("mutual_info_classif", "mutual_info_regression"),
    "sklearn.metrics._classification": (
        "accuracy_score", "balanced_accuracy_score", "brier_score_loss", "f1_score", "jaccard_score", "log_loss",
        "matthews_corrcoef", "precision_score", "recall_score",
    ),
    "sklearn.metrics._ranking": ("average_precision_score", "roc_auc_score", "top_k_accuracy_score"),
    "sklearn.metrics._regression": (
        "d2_absolute_error_score", "explained_variance_score", "max_error", "mean_absolute_error",
        "mean_absolute_percentage_error", "mean_gamma_deviance", "mean_poisson_deviance", "mean_squared_error",
        "mean_squared_log_error", "median_absolute_error", "r2_score", "root_mean_squared_error",
        "root_mean_squared_log_error",
    ),
}  # fmt: skip
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, slice, np.generic, np.dtype, np.ufunc)
_RANDOM = (np.random.RandomState, np.random.Generator, np.random.BitGenerator)
_NUMBERS = (bool, int, float, str, object)
# What folds that are drawn again and again are drawn by.
_REPEATED = ("sklearn.model_selection._split.KFold", "sklearn.model_selection._split.StratifiedKFold")


def settle(model: Any) -> None:
    """Raises IntegrityError for a value that could act; settings that are the server's are set to its own."""
    for value in everything(model):
        why = _why_not(value)
        if why:
            raise IntegrityError(
                f"the model is not loaded: {why}", "train it with settings that are data, and save it again"
            )
        if _is_estimator(value):
            own = _own(value)
            own.update({name: ours for name, ours in _OURS.items() if name in own})


def everything(top: Any) -> Iterator[Any]:
    """``top`` and every value inside it, however deep."""
    waiting, seen = [top], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, _PLAIN):
            yield value
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        waiting += _held(value)


def _held(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        factory = [value.default_factory] if isinstance(value, defaultdict) else []
        return [*value.keys(), *value.values(), *factory]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if type(value) is partial:
        return [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
    if isinstance(value, np.ndarray):
        return list(value.ravel().tolist()) if value.dtype == object else []
    return list(_own(value).values()) if _is_estimator(value) else []


def _own(value: Any) -> dict[str, Any]:
    """Its attributes; none of what is compiled."""
    found: dict[str, Any] = getattr(value, "__dict__", {})
    return found


def _why_not(value: Any) -> str:
    if isinstance(value, type):
        known = value in _NUMBERS or issubclass(value, np.generic) or _name(value) in _REPEATED
        return "" if known else f"it holds the class {_name(value)} as a setting"
    if isinstance(value, (*_PLAIN, *_RANDOM, Mapping, list, tuple, set, frozenset, np.ndarray)):
        return ""
    if type(value) is partial or _is_known(value):
        return ""
    if _is_estimator(value):
        pattern = _own(value).get("token_pattern")
        if pattern is not None and not (isinstance(pattern, str) and _WORDS.fullmatch(pattern)):
            return f"{type(value).__name__} finds words by {str(pattern)[:60]!r}, which can take for ever on some texts"
        return next((why for name, good in _HARMLESS.items() if (why := _wrong_setting(value, name, good))), "")
    # No file can make these, only scikit-learn itself while it puts an estimator together.
    if type(value).__module__.startswith("scipy."):
        return ""
    return f"it holds a {_name(type(value))}, which is more than data"


def _is_known(value: Any) -> bool:
    """Whether it is one of scikit-learn's own functions that only compute."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    return name in FUNCTIONS.get(str(module), ()) and getattr(sys.modules.get(str(module)), name, None) is value


def _wrong_setting(estimator: Any, name: str, good: Any) -> str:
    found = _own(estimator).get(name, good)
    if found == good and type(found) is type(good):
        return ""
    return f"{type(estimator).__name__} has the setting {name}={str(found)[:60]!r}, through which it reaches files"


def _is_estimator(value: Any) -> bool:
    """An object of one of scikit-learn's own classes: estimators, and what they keep their numbers in."""
    module: str = type(value).__module__
    return module.startswith("sklearn.") or module in ("_loss", "sklearn")


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
