"""How many rows share a unit: the sum of squared rows of each unit, in constant memory.

Each unit adds its rows, with a sign of its own, to one of 4,096 places; the sum of the squared places is that of the
squared rows, in expectation, and 2 % from it as a rule. Places of two windows add up, also where the same units come
again. The sketch of N. Alon, Y. Matias and M. Szegedy, "The space complexity of approximating the frequency moments",
JCSS 58 (1999), in the form of M. Charikar, K. Chen and M. Farach-Colton, "Finding frequent items in data streams"
(2004).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.sketches.words import encoded

PLACES = 4096
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))

Whole = NDArray[np.int64]


def places_of(column: Any) -> Whole:
    """What the rows of an Arrow array of units add (4,096). A row without a unit is a unit of its own: it adds nothing,
    because its square is counted as one row."""
    words, index = encoded(column)
    rows = np.bincount(index[index >= 0], minlength=len(words))
    hashes = hashes_of(words)
    signs = np.where(hashes >> np.uint64(63), 1, -1)
    places = (hashes % np.uint64(PLACES)).astype(np.int64)
    found = np.zeros(PLACES, dtype=np.int64)
    np.add.at(found, places, signs * rows)
    return found


def squares(places: Whole, rows: int) -> float:
    """The sum of squared rows; never less than each row being a unit of its own.

    >>> import pyarrow as pa
    >>> squares(places_of(pa.array(["a"] * 50 + ["b"] * 50)), 100)
    5000.0
    """
    return float(max(int((places.astype(object) ** 2).sum()), rows))


def hashes_of(words: Sequence[str]) -> NDArray[np.uint64]:
    """Equal on every machine, and spread over all 64 bits: the finaliser of MurmurHash3."""
    raw = (word.encode("utf-8", "surrogatepass") for word in words)
    mixed = np.fromiter((zlib.crc32(one) | zlib.adler32(one) << 32 for one in raw), np.uint64, len(words))
    for factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(33))) * factor
    return mixed ^ (mixed >> np.uint64(33))
