"""What alibi-detect's univariate detectors have in common: one test for each column, and a correction for their number.

The numbers are those of alibi-detect 0.11.4 (Apache-2.0), ``alibi_detect/cd/base.py``, class ``BaseUnivariateDrift``;
``tests/monitoring/alibi`` runs both side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import InconclusiveError, UsageError
from gitml.monitoring.alibi.folder import CONFIG, X_REF, DetectorFolder, read_array

Floats32 = NDArray[np.float32]
Table = NDArray[Any]
DriftType = Literal["batch", "feature"]
Alternative = Literal["two-sided", "less", "greater"]
_Count = Annotated[int, Field(ge=1, le=100_000)]
_Listed = Annotated[list[int], Field(max_length=100_000)]
Categories = dict[int, _Count | _Listed | None]


class UnivariateSettings(BaseModel):
    """``config.toml`` of a detector that needs no code: what is not here, or has another value, is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x_ref: Literal["x_ref.npy"]
    preprocess_fn: None = None
    input_shape: list[int] | None = None
    data_type: str | None = None
    x_ref_preprocessed: bool = False
    p_val: Annotated[float, Field(ge=0, le=1)] = 0.05
    preprocess_at_init: bool = True
    update_x_ref: None = None
    correction: Literal["bonferroni", "fdr"] = "bonferroni"
    n_features: Annotated[int, Field(ge=1)] | None = None


Settings = TypeVar("Settings", bound=UnivariateSettings)


@dataclass(frozen=True)
class Predicted:
    """As ``predict(x)['data']`` of alibi-detect. ``p_val`` and ``distance`` have one number a column, in its precision
    of float32."""

    is_drift: int | tuple[int, ...]
    p_val: tuple[float, ...]
    distance: tuple[float, ...]
    threshold: float | tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "is_drift": self.is_drift,
            "distance": list(self.distance),
            "p_val": list(self.p_val),
            "threshold": self.threshold,
        }


def settings_of(folder: DetectorFolder, form: type[Settings]) -> Settings:
    """Raises UsageError for a key or value that this reader does not know."""
    try:
        return form.model_validate(dict(folder.settings))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        hint = "save it without this setting, or with one of alibi-detect 0.11.4"
        if where == "update_x_ref":
            hint = "a reference that moves with the traffic can promise nothing: save the detector without update_x_ref"
        raise UsageError(f"{folder.path.name}/{CONFIG}: {where}: {first['msg']}", hint) from exc


def reference_of(folder: DetectorFolder, settings: UnivariateSettings) -> Table:
    """The reference rows, with as many columns as are tested."""
    found = read_array(folder.path / X_REF)
    wanted = settings.n_features or found.shape[1]
    if wanted > found.shape[1]:
        message = f"{folder.path.name}: n_features is {wanted}, and x_ref has {found.shape[1]} columns"
        raise UsageError(message, "save the detector anew")
    return found[:, :wanted]


def flattened(x: Table, columns: int) -> Table:
    """Rows of the window, as the tests take them. Raises InconclusiveError for none, UsageError for other columns."""
    if not len(x):
        raise InconclusiveError("there is no row to hold against the detector's reference")
    rows = x.reshape(len(x), -1)
    if rows.shape[1] < columns:
        raise UsageError(f"the detector has {columns} columns, and the rows have {rows.shape[1]}")
    return rows[:, :columns]


def categories_of(folder: DetectorFolder, given: Categories, x_ref: Table) -> dict[int, list[Any]]:
    """Categories by column: listed, counted from 0, or those of the reference."""
    strange = [feature for feature in given if not 0 <= feature < x_ref.shape[1]]
    if strange:
        raise UsageError(
            f"{folder.path.name}: categories_per_feature has column {strange[0]}, and x_ref has {x_ref.shape[1]}",
            "columns count from 0",
        )
    if len({type(value) for value in given.values()}) > 1:
        raise UsageError(
            f"{folder.path.name}: categories_per_feature is of several kinds",
            "write a number for all columns, or a list for all",
        )
    return {feature: _categories(value, x_ref[:, feature]) for feature, value in given.items()}


def _categories(given: int | list[int] | None, column: Table) -> list[Any]:
    if given is None:
        return list(np.unique(column).tolist())
    return list(range(given)) if isinstance(given, int) else given


def corrected(p_val: Floats32, distance: Floats32, settings: UnivariateSettings, drift_type: DriftType) -> Predicted:
    """Whether any column, or which, lies below the threshold."""
    numbers = tuple(map(float, p_val)), tuple(map(float, distance))
    if drift_type == "feature":
        return Predicted(tuple(map(int, p_val < settings.p_val)), *numbers, settings.p_val)
    if settings.correction == "bonferroni":
        threshold = settings.p_val / len(p_val)
        return Predicted(int((p_val < threshold).any()), *numbers, threshold)
    is_drift, limits = _fdr(p_val, settings.p_val)
    return Predicted(is_drift, *numbers, limits)


def _fdr(p_val: Floats32, q: float) -> tuple[int, float | tuple[float, ...]]:
    """With the largest threshold that a p-value lies below, or all of them where none does.

    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995).
    """
    thresholds = q * (np.arange(len(p_val)) + 1) / len(p_val)
    below = np.flatnonzero(np.sort(p_val) < thresholds)
    return (1, float(thresholds[below.max()])) if len(below) else (0, tuple(map(float, thresholds)))
