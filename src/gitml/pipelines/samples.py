"""Sample rows with their predictions, compared between a record and a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.errors import OutsideError
from gitml.pipelines import samplediff
from gitml.process import run


@dataclass(frozen=True)
class SamplesCompared:
    """``difference`` says where they differ first, ``error`` why they cannot be compared; both None: they agree.

    ``largest`` is the largest absolute difference of a prediction, over ``rows`` rows.
    """

    difference: str | None = None
    error: str | None = None
    largest: float | None = None
    rows: int = 0


def compare_samples(python: Path, old: Path, new: Path, tolerance: float, outputs: Sequence[str]) -> SamplesCompared:
    """Read both Parquet files with the environment's ``python``: gitml itself needs no pyarrow."""
    script = Path(samplediff.__file__)
    try:
        done = run([python, "-I", script, old, new, repr(tolerance), *outputs], cwd=new.parent, timeout=300)
        said = json.loads(done.stdout)
    except (OutsideError, ValueError) as exc:
        return SamplesCompared(error=str(exc))
    if said.get("error"):
        return SamplesCompared(error=said["error"])
    return SamplesCompared(_words(said["difference"]), None, said.get("largest"), said.get("rows", 0))


def _words(difference: dict[str, Any] | None) -> str | None:
    if difference is None:
        return None
    if difference["what"] == "columns":
        return f"only one of them has the column {difference['column']}"
    if difference["what"] == "rows":
        return f"{difference['old']} rows are recorded, {difference['new']} were found"
    place = f"{difference['column']} in row {difference['row']}"
    return f"{place}: recorded {difference['old']}, found {difference['new']}"
