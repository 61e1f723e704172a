"""Categories into the cells of a grid: words by dictionary, everything else as it is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml.sketches.grids import CategoryGrid


def encoded(column: Any) -> tuple[list[str], NDArray[np.int64]]:
    """The different words of an Arrow array, and the place of each row's among them, -1 where it is missing.

    Anything is a word as it is written; 6.0 is written 6, as a missing value may turn whole numbers into floats.
    """
    found = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = found.dictionary
    if values.null_count or len(values.unique()) < len(values):  # somebody else's dictionary
        return encoded(column.dictionary_decode())
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        values = pc.replace_substring_regex(values.cast(pa.string()), r"^(-?\d+)\.0$", r"\1")
    indices = found.indices.fill_null(-1) if found.indices.null_count else found.indices
    return values.to_pylist(), indices.to_numpy(zero_copy_only=False).astype(np.int64)


def places(grid: CategoryGrid, column: Any) -> NDArray[np.int64]:
    """The cell of each row, as many as the grid has cells where the value is missing."""
    words, index = encoded(column)
    table = np.append(grid.places(words), grid.cells)
    found: NDArray[np.int64] = table[index]
    return found
