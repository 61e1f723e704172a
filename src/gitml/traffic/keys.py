"""Rows found by their keys: 64-bit hashes in arrays of numpy, 8 bytes a row, equal within one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Keys(NamedTuple):
    """Of rows in their order. ``request``: id and row; ``named``: those and the caller."""

    request: Hashes
    named: Hashes


def keys_of(batch: Any) -> Keys:
    request = mixed(_hashed(batch["request_id"]), batch["row"].to_numpy(zero_copy_only=False).astype(np.uint64))
    return Keys(request, mixed(request, of_words(batch["caller"])))


def mixed(one: Hashes, other: Hashes) -> Hashes:
    found: Hashes = (one ^ (one >> np.uint64(31))) * _ODD + other
    return found


def of_words(column: Any) -> Hashes:
    """Of a column with few different words."""
    encoded = column.dictionary_encode()
    words = [hash(word) for word in encoded.dictionary.to_pylist()]
    table = np.array([0, *words], dtype=np.int64).view(np.uint64)
    places = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    found: Hashes = table[places + 1]
    return found


def _hashed(column: Any) -> Hashes:
    values = column.to_pylist()
    return np.fromiter(map(hash, values), dtype=np.int64, count=len(values)).view(np.uint64)


def repeats(keys: Hashes, moments: np.ndarray[Any, Any], before: Hashes) -> np.ndarray[Any, Any]:
    """Which rows repeat one of the same key with an earlier moment, or one in ``before``, which is sorted."""
    again = np.zeros(len(keys), dtype=bool)
    ordered = np.sort(keys)
    # Most days repeat nothing, and sorted keys are found several times faster.
    if not ((ordered[1:] == ordered[:-1]).any() or contained(ordered, before).any()):
        return again
    order = np.lexsort((moments, keys))
    ranked = keys[order]
    again[order[1:]] = ranked[1:] == ranked[:-1]
    found: np.ndarray[Any, Any] = again | contained(keys, before)
    return found


def contained(keys: Hashes, ordered: Hashes) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = places_in(keys, ordered) >= 0
    return found


def places_in(keys: Hashes, ordered: Hashes) -> np.ndarray[Any, Any]:
    """Where each key stands among ``ordered``, which is sorted; -1 where it does not."""
    if not len(ordered):
        return np.full(len(keys), -1)
    # In order they are found several times faster, since what was read last is still at hand.
    order = np.argsort(keys)
    places = np.empty(len(keys), dtype=np.int64)
    places[order] = np.searchsorted(ordered, keys[order])
    places[places == len(ordered)] = 0
    return np.where(ordered[places] == keys, places, -1)


def newest(keys: Hashes, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where the row with the highest ``order`` of each key stands, sorted by key."""
    in_order = not len(order) or bool((order[1:] >= order[:-1]).all())
    ranked = np.argsort(keys, kind="stable") if in_order else np.lexsort((order, keys))
    if not len(ranked):
        return ranked
    last = np.append(keys[ranked][1:] != keys[ranked][:-1], [True])
    found: np.ndarray[Any, Any] = ranked[last]
    return found


def concatenated(parts: Iterator[Hashes]) -> Hashes:
    found = [*parts]
    return np.concatenate(found) if found else np.array([], dtype=np.uint64)
