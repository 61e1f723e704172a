"""What the first steps of a fitted scikit-learn pipeline do, on encoded rows instead of a table.

Each encoder of words becomes a table: row = the word's place in the signature, and the last two rows are UNKNOWN (-1)
and MISSING (-2), which Python's negative indices find. Everything here must give exactly what the pipeline gives on a
table; the tests compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gitml.models.fields import Field
from gitml.models.signature import InputError, Signature, Wrong
from gitml.models.sklearninside import is_known
from gitml.models.sklearnmissing import missing_category
from gitml.models.sklearnsettings import everything

Step = Callable[[Any], Any]


# What changes each column by itself, and keeps their number.
_EACH_BY_ITSELF = (
    "MaxAbsScaler", "MinMaxScaler", "PowerTransformer", "QuantileTransformer", "RobustScaler", "StandardScaler",
)  # fmt: skip


class OnArrays(NamedTuple):
    """``steps``: functions to apply to encoded rows in turn; ``last``: the estimator that takes what they give.

    ``origins``: for each column that it takes, the place of the input that alone it is made of; None where a column
    may be made of several.
    """

    steps: list[Step]
    last: Any
    origins: tuple[int, ...] | None


def on_arrays(model: Any, signature: Signature) -> OnArrays | None:
    """The pipeline without a table; None if it needs one."""
    *before, last = (
        [s for _, s in model.steps if s is not None and s != "passthrough"] if _is_pipeline(model) else [model]
    )
    if last is None or _is_pipeline(last):
        return None
    # A table's columns chosen by name further inside: only a table has them.
    if any(type(inner).__name__ == "ColumnTransformer" for step in [*before[1:], last] for inner in everything(step)):
        return None
    steps: list[Step] = []
    origins: tuple[int, ...] | None
    if before and type(before[0]).__name__ == "ColumnTransformer":
        parts = _columns(before.pop(0), signature) if is_known() else None
        if parts is None:
            return None
        steps.append(_joined(parts, signature))
        origins = _origins(parts)
    else:
        ordered = _ordered(model, signature)
        if ordered is None:
            return None
        steps += [ordered] if ordered is not _same else []
        origins = tuple(int(n) for n in ordered(np.arange(len(signature.inputs))[None, :])[0])
    for step in [*before, last]:
        _forget_names(step)
    if not all(_is_each_by_itself(step) for step in before):
        origins = None
    return OnArrays([*steps, *[_dense(step.transform) for step in before]], last, origins)


def _is_each_by_itself(step: Any) -> bool:
    return _does_nothing(step) or type(step).__name__ in _EACH_BY_ITSELF


def _is_pipeline(model: Any) -> bool:
    return type(model).__name__ == "Pipeline" and hasattr(model, "steps")


def _same(rows: Any) -> Any:
    return rows


def _ordered(model: Any, signature: Signature) -> Step | None:
    """Columns in the order that the model was fitted on; None where some are words."""
    if any(f.type == "string" for f in signature.inputs):
        return None
    names = [f.name for f in signature.inputs]
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None or list(fitted) == names:
        return _same
    if not set(fitted) <= set(names):
        return None
    order = np.array([names.index(name) for name in fitted])
    return lambda rows: rows[:, order]


def _forget_names(step: Any) -> None:
    """The estimator, and all inside it, no longer warn that an array has no names."""
    for inner in everything(step):
        if not isinstance(inner, type) and hasattr(inner, "__dict__"):
            inner.__dict__.pop("feature_names_in_", None)


def _dense(transform: Step) -> Step:
    def dense(rows: Any) -> Any:
        found = transform(rows)
        return found.toarray() if hasattr(found, "toarray") else np.asarray(found)

    return dense


@dataclass(frozen=True)
class _Part:
    """One block of a ColumnTransformer: which inputs it sees, and what it does to them (None: nothing).

    ``mixes``: a column that it gives may be made of several inputs.
    """

    places: list[int]
    step: Step | None
    tables: tuple[NDArray[np.float64], ...] | None = None
    mixes: bool = False

    @property
    def origins(self) -> list[int]:
        widths = [t.shape[1] for t in self.tables] if self.tables else [1] * len(self.places)
        return [place for place, width in zip(self.places, widths, strict=True) for _ in range(width)]


def _columns(transformer: Any, signature: Signature) -> list[_Part] | None:
    if signature.dtype is object or not hasattr(transformer, "feature_names_in_"):
        return None
    if getattr(transformer, "transformer_weights", None):
        return None
    parts: list[_Part] = []
    for _, inner, chosen in transformer.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        places = _places(chosen, list(transformer.feature_names_in_), [f.name for f in signature.inputs])
        part = None if places is None else _part(inner, places, signature)
        if part is None:
            return None
        if part.places:
            parts.append(part)
    # Not before it is sure that arrays come: on a table the names are wanted.
    for _, inner, _ in transformer.transformers_ if parts else ():
        _forget_names(inner)
    return parts or None


def _origins(parts: Sequence[_Part]) -> tuple[int, ...] | None:
    return None if any(p.mixes for p in parts) else tuple(place for p in parts for place in p.origins)


def _places(chosen: Any, fitted: list[str], names: list[str]) -> list[int] | None:
    """Places in the signature of the columns that a part chooses; None if that cannot be told."""
    if isinstance(chosen, str | slice) or callable(chosen):
        return None
    wanted = list(chosen)
    if wanted and all(isinstance(c, bool | np.bool_) for c in wanted):
        wanted = [name for name, taken in zip(fitted, wanted, strict=True) if taken]
    wanted = [fitted[c] if isinstance(c, int | np.integer) else c for c in wanted]
    return [names.index(c) for c in wanted] if set(wanted) <= set(names) else None


def _part(inner: Any, places: list[int], signature: Signature) -> _Part | None:
    fields = [signature.inputs[place] for place in places]
    if _does_nothing(inner):
        # A word that passes through unencoded is no number.
        return None if any(f.type == "string" for f in fields) else _Part(places, None)
    if not any(f.type == "string" for f in fields):
        return _Part(places, _dense(inner.transform), mixes=not _is_each_by_itself(inner))
    if not all(f.type == "string" for f in fields) or getattr(inner, "_infrequent_enabled", False):
        return None
    table = _TABLES.get(type(inner).__name__)
    tables = [table(inner, known, f) for known, f in zip(inner.categories_, fields, strict=True)] if table else []
    found = [t for t in tables if t is not None]
    return _Part(places, None, tuple(found)) if found and len(found) == len(fields) else None


def _does_nothing(inner: Any) -> bool:
    if isinstance(inner, str):
        return inner == "passthrough"
    return type(inner).__name__ == "FunctionTransformer" and inner.func is None


def _ordinal(encoder: Any, known: Sequence[Any], field: Field) -> NDArray[np.float64] | None:
    """Column vector: the code of each word; infinite where the encoder refuses."""
    lenient = encoder.handle_unknown == "use_encoded_value"
    other = float(encoder.unknown_value) if lenient else np.inf
    places = {word: float(code) for code, word in enumerate(known) if isinstance(word, str)}
    absent = missing_category(known)
    # The encoder calls NaN alone missing; None is a category like others to it.
    coded = None if absent is None else absent if known[absent] is None else encoder.encoded_missing_value
    missing = other if coded is None else float(coded)
    return np.array([*[places.get(c, other) for c in field.categories or ()], missing, other])[:, None]


def _onehot(encoder: Any, known: Sequence[Any], field: Field) -> NDArray[np.float64] | None:
    """One row of zeros and a one per word; infinite where the encoder refuses."""
    if encoder.drop is not None or encoder.handle_unknown not in ("ignore", "error"):
        return None
    other = np.full(len(known), 0.0 if encoder.handle_unknown == "ignore" else np.inf)
    rows = {word: np.eye(len(known))[code] for code, word in enumerate(known)}
    place = missing_category(known)
    absent = other if place is None else np.eye(len(known))[place]
    return np.array([*[rows.get(c, other) for c in field.categories or ()], absent, other])


_TABLES: dict[str, Callable[[Any, Sequence[Any], Field], NDArray[np.float64] | None]] = {
    "OrdinalEncoder": _ordinal,
    "OneHotEncoder": _onehot,
}


def _joined(parts: list[_Part], signature: Signature) -> Step:
    """All parts side by side; one copy where nothing gets wider."""
    strict = any(t.size and np.isinf(t).any() for p in parts for t in p.tables or ())
    if all(p.step is None and all(t.shape[1] == 1 for t in p.tables or ()) for p in parts):
        return _refusing(_replaced(parts), parts, signature) if strict else _replaced(parts)

    def joined(rows: Any) -> Any:
        return np.concatenate([_block(p, rows) for p in parts], axis=1)

    return _refusing(joined, parts, signature) if strict else joined


def _block(part: _Part, rows: Any) -> Any:
    chosen = rows[:, part.places]
    if part.tables is not None:
        codes = chosen.astype(np.intp)
        return np.concatenate([t[codes[:, n]] for n, t in enumerate(part.tables)], axis=1)
    return part.step(chosen) if part.step else chosen


def _replaced(parts: list[_Part]) -> Step:
    order = np.array([place for p in parts for place in p.places])
    flat = [t[:, 0] if t is not None else None for p in parts for t in (p.tables or (None,) * len(p.places))]
    tables = [(n, t) for n, t in enumerate(flat) if t is not None]

    def replaced(rows: Any) -> Any:
        found = rows[:, order]
        for place, table in tables:
            found[:, place] = table[found[:, place].astype(np.intp)]
        return found

    return replaced


def _refusing(step: Step, parts: list[_Part], signature: Signature) -> Step:
    """The same step, after a look for words that an encoder of the model refuses."""
    strict = [(p.places[n], np.asarray(np.isinf(t).any(axis=1))) for p in parts for n, t in enumerate(p.tables or ())]

    def refusing(rows: Any) -> Any:
        for place, refused in strict:
            bad = np.flatnonzero(refused[rows[:, place].astype(np.intp)])
            if bad.size:
                name = signature.inputs[place].name
                raise InputError([Wrong(name, "a word that the model was fitted on", "another word", int(bad[0]))])
        return step(rows)

    return refusing
