"""What a model takes and gives, and requests turned into numbers by it.

Inside the server a request is a matrix of float64 with one column per input, in the order of the signature: a number is
itself, a missing one NaN; a word is its place among the signature's categories, UNKNOWN if it is none of them, MISSING
if there is none. A model whose signature has words without categories gets a matrix of objects instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gitml.errors import UsageError
from gitml.models.fields import FLOATS, INTEGERS, MISSING, TYPES, UNKNOWN, Field, bounds, converter

Rows = NDArray[Any]  # float64, or object where a word has no categories; shape (rows, inputs)
Columns = Mapping[str, Any]


class Wrong(NamedTuple):
    """One thing wrong in a request. ``row`` counts from 0; -1 means the request as a whole."""

    field: str
    expected: str
    got: str
    row: int = -1

    def __str__(self) -> str:
        place = f"{self.field} in row {self.row}" if self.row >= 0 else self.field
        return f"{place}: expected {self.expected}, got {self.got}"


class InputError(UsageError):
    """A request that does not fit the signature; ``problems`` names what is wrong, at most ten of them."""

    def __init__(self, problems: Sequence[Wrong], hint: str = "") -> None:
        self.problems = tuple(problems[:10])
        super().__init__("; ".join(str(p) for p in self.problems), hint)


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a model, in order."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    _converters: tuple[tuple[str, Callable[[Any], Any]], ...] = field(repr=False, compare=False)
    _words: tuple[int, ...] = field(repr=False, compare=False)
    _known: Mapping[int, Collection[Any]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def dtype(self) -> type:
        """Type of the matrix that requests become: float, or object where a word has no categories."""
        return object if any(f.type == "string" and f.categories is None for f in self.inputs) else np.float64

    def row(self, values: Any, number: int = 0) -> list[Any]:
        """One row, from input names to JSON values. Raises InputError with everything that is wrong in it."""
        try:
            encoded = [convert(values[name]) for name, convert in self._converters]
            if len(values) == len(encoded):
                return encoded
        except (KeyError, TypeError, ValueError):
            pass
        return self._slowly(values, number)

    def rows(self, values: Sequence[Any]) -> Rows:
        """Many rows; (0, inputs) if there is none."""
        encoded = [self.row(row, number) for number, row in enumerate(values)]
        return np.array(encoded, self.dtype).reshape(len(encoded), len(self.inputs))

    def columns(self, columns: Columns) -> Rows:
        """Columns of equal length: arrays or lists, by name. A nullable one that is not there is missing in each row.

        Raises InputError.
        """
        problems = self._names(columns, -1)
        if not problems and not columns:
            # Nobody says how many rows there are.
            problems = [Wrong("columns", "a list of values for at least one input", "nothing")]
        if problems:
            raise InputError(problems)
        lists = {name: _as_list(values) for name, values in columns.items()}
        length = len(next(iter(lists.values())))
        uneven = [name for name, found in lists.items() if len(found) != length]
        if uneven:
            got = len(lists[uneven[0]])
            raise InputError([Wrong(uneven[0], f"{length} values like the first column", f"{got}")])
        matrix: Rows = np.empty((length, len(self.inputs)), self.dtype)
        for place, (name, convert) in enumerate(self._converters):
            quick = self._numbers(place, columns.get(name))
            found = lists[name] if name in lists else [None] * length
            matrix[:, place] = quick if quick is not None else self._column(place, found, convert)
        return matrix

    def knowing(self, words: Mapping[str, frozenset[str]]) -> Signature:
        """The same, for a model that knows these words alone of its inputs: others are unknown, listed or not."""
        known: dict[int, Collection[Any]] = {}
        for place, wanted in enumerate(self.inputs):
            mine = words.get(wanted.name)
            if mine is None or wanted.type != "string":
                continue
            if wanted.categories is None:
                known[place] = {None, *mine}
            elif not mine.issuperset(wanted.categories):
                known[place] = {MISSING, *(float(n) for n, word in enumerate(wanted.categories) if word in mine)}
        return replace(self, _words=tuple(sorted({*self._words, *known})), _known=known)

    @property
    def known(self) -> dict[str, frozenset[str]]:
        """By input the words that the model knows; only inputs of which that is told."""
        found = {f.name: frozenset(f.categories) for f in self.inputs if f.categories is not None}
        for place, known in self._known.items():
            listed = self.inputs[place].categories
            words = known if listed is None else [w for code, w in enumerate(listed) if code in known]
            found[self.inputs[place].name] = frozenset(w for w in words if w is not None)
        return found

    def unknown(self, rows: Rows) -> dict[str, int]:
        """How many words of each input the model does not know: none of its categories, or of those it was fitted on;
        only inputs that have such."""
        if not self._words:
            return {}
        if self._known or rows.dtype == object:
            return self._unknown_slowly(rows)
        if len(rows) == 1:  # the usual, in a tenth of an array's time
            only = rows[0].tolist()
            return {self.inputs[w].name: 1 for w in self._words if only[w] == UNKNOWN}
        found = rows[:, self._words] == UNKNOWN
        if not np.count_nonzero(found):
            return {}
        counts = found.sum(axis=0).tolist()
        return {self.inputs[w].name: n for w, n in zip(self._words, counts, strict=True) if n}

    def refuse_unknown(self, rows: Rows) -> None:
        """Raise InputError for words that the model does not know."""
        problems = []
        for place in self._words:
            found = [row for row, strange in enumerate(self._strange(place, rows)) if strange]
            name = self.inputs[place].name
            problems += [Wrong(name, "a word that the model knows", "another one", row) for row in found[:10]]
        if problems:
            raise InputError(problems)

    def decode(self, rows: Rows) -> dict[str, list[Any]]:
        """Columns by name as Python values: None for missing; an unknown word becomes one that is no category."""
        return {f.name: _decode(f, rows[:, place]) for place, f in enumerate(self.inputs)}

    def arrays(self, rows: Rows) -> dict[str, Any]:
        """The same as arrays where that is faster; a missing number of a float column is NaN."""
        return {f.name: _array(f, rows[:, place]) for place, f in enumerate(self.inputs)}

    def named(self, answers: Rows) -> dict[str, Any]:
        """Answers of shape (rows, outputs) as arrays by name."""
        return {f.name: answers[:, place] for place, f in enumerate(self.outputs)}

    def _unknown_slowly(self, rows: Rows) -> dict[str, int]:
        counts = {self.inputs[w].name: sum(self._strange(w, rows)) for w in self._words}
        return {name: n for name, n in counts.items() if n}

    def _strange(self, place: int, rows: Rows) -> Iterator[bool]:
        """Of each row whether its word is one that the model does not know."""
        known, cells = self._known.get(place), rows[:, place].tolist()
        return (c == UNKNOWN for c in cells) if known is None else (c not in known for c in cells)

    def _numbers(self, place: int, values: Any) -> NDArray[np.float64] | None:
        """A whole column of numbers at once, if it is sound; otherwise None, and the slow way finds out why."""
        wanted = self.inputs[place]
        if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iuf":
            return None
        if wanted.type in FLOATS:
            found = values.astype(np.float64)
            limit = FLOATS[wanted.type]
            sound = np.isnan(found) if wanted.nullable else np.zeros(len(found), bool)
            return found if bool((sound | (np.abs(found) <= limit)).all()) else None
        if wanted.type in INTEGERS and values.dtype.kind in "iu" and not wanted.type.startswith("uint64"):
            low, high = bounds(wanted.type)
            inside = len(values) == 0 or (int(values.min()) >= low and int(values.max()) <= high)
            return values.astype(np.float64) if inside else None
        return None

    def _column(self, place: int, values: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
        try:
            return [convert(v) for v in values]
        except (TypeError, ValueError):
            raise InputError(list(self._wrong(place, values))) from None

    def _wrong(self, place: int, values: Sequence[Any]) -> list[Wrong]:
        found, (name, convert) = [], self._converters[place]
        for number, value in enumerate(values):
            try:
                convert(value)
            except (TypeError, ValueError) as exc:
                found.append(Wrong(name, str(exc) or self.inputs[place].expected, _shown(value), number))
            if len(found) == 10:
                break
        return found

    def _slowly(self, values: Any, number: int) -> list[Any]:
        """The same as ``row``, but it finds everything that is wrong, and takes a nullable input that is not there."""
        if not isinstance(values, Mapping):
            raise InputError([Wrong("row", "an object with the inputs by name", _shown(values), number)])
        problems = self._names(values, number)
        encoded: list[Any] = []
        for wanted, (name, convert) in zip(self.inputs, self._converters, strict=True):
            try:
                encoded.append(convert(values.get(name)))
            except (TypeError, ValueError) as exc:
                if name in values:
                    problems.append(Wrong(name, str(exc) or wanted.expected, _shown(values[name]), number))
        if problems:
            raise InputError(problems)
        return encoded

    def _names(self, values: Mapping[str, Any], number: int) -> list[Wrong]:
        names = [f.name for f in self.inputs]
        absent = [f for f in self.inputs if f.name not in values and not f.nullable]
        problems = [Wrong(f.name, f.expected, "nothing", number) for f in absent]
        for name in values:
            if name not in names:
                near = get_close_matches(str(name), names, 1)
                expected = f"no such input (is it {near[0]}?)" if near else "no such input"
                problems.append(Wrong(_shown(name).strip('"'), expected, _shown(values[name]), number))
        return problems


def parse(raw: Mapping[str, Any]) -> Signature:
    """The signature of a version record. Raises UsageError where it cannot be served by."""
    inputs, outputs = _fields(raw, "inputs"), _fields(raw, "outputs")
    converters = tuple((f.name, converter(f)) for f in inputs)
    words = tuple(place for place, f in enumerate(inputs) if f.categories is not None)
    return Signature(inputs, outputs, converters, words)


def probe(signature: Signature, count: int) -> Rows:
    """Rows that fit the signature: zeros, and of words the first that the model knows; empty ones if nothing tells."""
    known = signature.known
    cells = [_probed(f, known.get(f.name, frozenset())) for f in signature.inputs]
    return np.array([cells] * count, signature.dtype).reshape(count, len(cells))


def _probed(wanted: Field, known: frozenset[str]) -> Any:
    if wanted.type == "string" and wanted.categories is None:
        return min(known, default="")
    return next((float(code) for code, word in enumerate(wanted.categories or ()) if word in known), 0.0)


def said_unknown(unknown: Mapping[str, int]) -> list[str]:
    """What ``Signature.unknown`` found, a line for each input.

    >>> said_unknown({"carrier": 1, "dest": 3})
    ['carrier: 1 word that the model does not know', 'dest: 3 words that the model does not know']
    """
    return [f"{name}: {n} word{'s' if n > 1 else ''} that the model does not know" for name, n in unknown.items()]


def _fields(raw: Mapping[str, Any], key: str) -> tuple[Field, ...]:
    found = raw.get(key) if isinstance(raw, Mapping) else None
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise UsageError(
            f"the signature names no {key}", "write name and type of each: the server checks requests by it"
        )
    fields = tuple(_field(f, key) for f in found)
    twice = {f.name for f in fields if sum(g.name == f.name for g in fields) > 1}
    if twice:
        raise UsageError(f"the signature names {min(twice)} twice under {key}")
    return fields


def _field(raw: Any, key: str) -> Field:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        raise UsageError(f"the signature has an entry without a name under {key}")
    name, kind, categories = raw["name"], raw.get("type"), raw.get("categories")
    if kind not in TYPES:
        raise UsageError(f"the signature gives {name} the type {kind!r}", f"the types are {', '.join(TYPES)}")
    if categories is not None and (
        kind != "string" or not all(isinstance(c, str) for c in categories) or len(set(categories)) != len(categories)
    ):
        raise UsageError(f"the categories of {name} in the signature are not words that differ")
    return Field(name, kind, None if categories is None else tuple(categories), raw.get("nullable") is True)


def _as_list(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return list(values.reshape(-1).tolist())
    if isinstance(values, list | tuple):
        return list(values)
    raise InputError([Wrong("columns", "a list of values for each input", _shown(values))])


def _stranger(categories: Sequence[str]) -> str:
    """A word that is none of the categories, of which an empty word may be one."""
    return next(word for n in range(len(categories) + 1) if (word := "\0" * n) not in categories)


def _decode(wanted: Field, cells: Rows) -> list[Any]:
    if wanted.categories is not None:
        words = (*wanted.categories, None, _stranger(wanted.categories))
        return [words[int(code)] for code in cells.tolist()]
    if wanted.type == "string":
        return list(cells.tolist())
    if wanted.type in INTEGERS or wanted.type == "bool":
        whole = int if wanted.type in INTEGERS else bool
        return [None if v is None or v != v else whole(v) for v in cells.tolist()]
    return [None if v is None or v != v else v for v in cells.tolist()]


def _array(wanted: Field, cells: Rows) -> Any:
    if cells.dtype == object:
        return _decode(wanted, cells)
    if wanted.categories is not None:
        return np.array([*wanted.categories, None, _stranger(wanted.categories)], object)[cells.astype(np.intp)]
    if wanted.type in FLOATS:
        return cells
    if wanted.nullable and np.isnan(cells).any():
        return _decode(wanted, cells)
    return cells.astype(np.int64 if wanted.type in INTEGERS else np.bool_)


def _shown(value: Any) -> str:
    """A value of the caller in a message: short, one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value) if not isinstance(value, int) else _whole(value)
    text = text.encode("ascii", "backslashreplace").decode().replace("\n", "\\n")
    return text if len(text) <= 60 else f"{text[:57]}..."


def _whole(value: int) -> str:
    # str() of an int with thousands of digits raises, on purpose of Python's authors.
    return str(value) if value.bit_length() < 200 else f"a whole number of {value.bit_length()} bits"
