"""Units as 64-bit keys that are the same in every process, so that a judgement can be repeated to the byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
_FIRST, _SECOND, _THIRD = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_WORD = 8


def keys_of_texts(column: Any) -> Keys:
    """A key for each text of an Arrow array of strings; 0 for what is missing. Eight bytes are read at once.

    >>> one, other, again, none = keys_of_texts(pa.array(["ada", "olga", "ada", None]))
    >>> bool(one == again), bool(one == other), int(none)
    (True, False, 0)
    """
    count = len(column)
    if column.null_count == count:
        return np.zeros(count, np.uint64)
    column = column.cast(pa.large_string())
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + count + 1]
    raw = column.buffers()[2]
    data = np.concatenate([np.frombuffer(raw, np.uint8) if raw else np.zeros(0, np.uint8), np.zeros(_WORD, np.uint8)])
    windows = np.lib.stride_tricks.sliding_window_view(data, _WORD)
    starts, lengths = offsets[:-1], np.diff(offsets)
    found = finalised(lengths.astype(np.uint64) + _FIRST)
    for place in range(-(-int(lengths.max(initial=0)) // _WORD)):
        rest = lengths - place * _WORD
        rows = slice(None) if rest.min() > 0 else np.flatnonzero(rest > 0)
        words = windows[starts[rows] + place * _WORD].view("<u8")[:, 0]
        unused = (np.maximum(_WORD - rest[rows], 0) * 8).astype(np.uint64)
        # Two shifts would lose a whole word; a word is never wholly unused here.
        words = (words << unused) >> unused
        found[rows] = finalised((found[rows] ^ words) * _FIRST + np.uint64(place))
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(valid, np.maximum(found, np.uint64(1)), np.uint64(0))


def finalised(keys: Keys) -> Keys:
    """S. Vigna's mixer of SplitMix64 (2015): each bit of the key depends on each bit of what went in."""
    keys = (keys ^ (keys >> np.uint64(30))) * _SECOND
    keys = (keys ^ (keys >> np.uint64(27))) * _THIRD
    found: Keys = keys ^ (keys >> np.uint64(31))
    return found


def mixed_keys(one: Keys, other: Keys) -> Keys:
    """The keys of pairs."""
    return finalised(one * _FIRST + other)
