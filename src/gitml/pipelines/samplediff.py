"""A script, run by the Python of the environment that made the files: do two Parquet tables hold the same?

Called with the two paths, the tolerance, and the names of the prediction columns (none: all). Prints one JSON object.
It stands alone: gitml is not installed there.
"""

import json
import math
import sys
from typing import Any


def numbers(value: Any) -> list[float] | None:
    """The numbers in a cell, or None if it holds something else."""
    if isinstance(value, bool | int | float):
        return [float(value)]
    if not isinstance(value, list):
        return None
    parts = [numbers(v) for v in value]
    return None if any(p is None for p in parts) else [n for p in parts if p is not None for n in p]


def apart(old: Any, new: Any) -> float:
    """The largest absolute difference of two cells; infinite if they cannot be compared."""
    ours, theirs = numbers(old), numbers(new)
    if ours is None or theirs is None:
        return 0.0 if old == new else math.inf
    if len(ours) != len(theirs):
        return math.inf
    pairs = zip(ours, theirs, strict=True)
    return max((0.0 if a == b or (a != a and b != b) else abs(a - b) for a, b in pairs), default=0.0)


def compare(
    old: dict[str, list[Any]], new: dict[str, list[Any]], tolerance: float, outputs: list[str]
) -> dict[str, Any]:
    """``difference`` names the first cell outside the tolerance; ``largest`` is over the prediction columns."""
    missing = sorted(set(old) ^ set(new)) or sorted(set(outputs) - set(old))
    if missing:
        return {"difference": {"what": "columns", "column": missing[0]}}
    counts = [len(next(iter(table.values()), [])) for table in (old, new)]
    if counts[0] != counts[1]:
        return {"difference": {"what": "rows", "old": counts[0], "new": counts[1]}}
    if counts[0] == 0:
        return {"error": "the samples hold no row"}
    largest, first = 0.0, None
    # Inputs first: predictions on other rows would say nothing.
    for column in sorted(old, key=lambda name: (name in outputs, name)):
        for row, (a, b) in enumerate(zip(old[column], new[column], strict=True)):
            gap = apart(a, b)
            if column in outputs or not outputs:
                largest = max(largest, gap) if gap == gap else math.inf
            if first is None and not gap <= tolerance:
                first = {"what": "cell", "column": column, "row": row, "old": repr(a), "new": repr(b)}
    return {"difference": first, "largest": largest if math.isfinite(largest) else None, "rows": counts[0]}


def main(old: str, new: str, tolerance: str, *outputs: str) -> None:
    """Print the comparison of two files."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        found: dict[str, Any] = {"error": "pyarrow is not installed there"}
    else:
        try:
            tables = [parquet.ParquetFile(path).read().to_pydict() for path in (old, new)]
            found = compare(tables[0], tables[1], float(tolerance), list(outputs))
        except (OSError, ValueError) as exc:  # pyarrow's own errors are ValueErrors or OSErrors
            found = {"error": f"not readable as Parquet: {exc}"}
    json.dump(found, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
