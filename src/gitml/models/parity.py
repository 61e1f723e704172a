"""Does a model answer as it did when it was trained? Its sample rows hold what it answered then."""

from __future__ import annotations

import io
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitml.errors import IntegrityError

if TYPE_CHECKING:
    from gitml.models.model import Predictor

# Answers of one model on one row differ by rounding from machine to machine, and by no more.
RELATIVE, ABSOLUTE = 1e-5, 1e-6


def apart(found: Any, wanted: Any) -> tuple[float, float]:
    """How far apart two answers are, and how far they may be; words are the same or infinitely far apart."""
    if isinstance(found, str) or isinstance(wanted, str):
        return (0.0 if found == wanted else math.inf), 0.0
    try:
        gap, size = abs(float(found) - float(wanted)), abs(float(wanted))
    except (TypeError, ValueError, OverflowError):
        return math.inf, 0.0
    return (gap, ABSOLUTE + RELATIVE * size) if math.isfinite(gap) else (math.inf, 0.0)


def agree(found: Any, wanted: Any) -> bool:
    """Whether two answers are the same up to rounding; nothing agrees with NaN or with a missing one."""
    gap, tolerated = apart(found, wanted)
    return gap <= tolerated


@dataclass(frozen=True)
class Parity:
    """A model's answers held against recorded ones, over ``rows`` rows; no row: nothing was compared.

    ``largest`` is the largest difference; ``worst`` the largest in units of what is tolerated. ``first`` says in words
    which answer is the first that does not agree, "" where all do.
    """

    rows: int = 0
    largest: float = 0.0
    worst: float = 0.0
    first: str = ""


def compared(model: Predictor, rows: Any, recorded: Mapping[str, Sequence[Any]]) -> Parity:
    """``rows`` as the model's signature encodes them; ``recorded``: an answer for each, by the name of the output."""
    answers = model.answers(rows)
    largest, worst, first = 0.0, 0.0, ""
    for place, output in enumerate(model.signature.outputs):
        for row, (found, wanted) in enumerate(zip(answers[:, place].tolist(), recorded[output.name], strict=True)):
            gap, tolerated = apart(found, wanted)
            largest, worst = max(largest, gap), max(worst, gap / tolerated if tolerated else gap)
            if not first and not gap <= tolerated:
                first = f"{output.name} in row {row} is {found!r}, and {wanted!r} was recorded"
    return Parity(len(rows), largest, worst, first)


def columns_of(raw: bytes, name: str, most: int | None = None) -> dict[str, list[Any]]:
    """A Parquet table, by column. Raises IntegrityError for anything else, and for more than ``most`` rows."""
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(raw))
        if most is not None and file.metadata.num_rows > most:
            raise IntegrityError(f"{name} has {file.metadata.num_rows:,} rows, more than {most:,}")
        found: dict[str, list[Any]] = file.read().to_pydict()
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"{name} is not Parquet: {str(exc).splitlines()[0][:200]}") from exc
    return found


def covering(patterns: Sequence[Hashable], most: int) -> list[int]:
    """Which rows to try: the first ``most``, and of each further pattern of what is missing the first row.

    >>> covering(["none", "none", "none", "age", "none", "age", "both"], 2)
    [0, 1, 3, 6]
    """
    first: dict[Hashable, int] = {}
    for row, pattern in enumerate(patterns):
        first.setdefault(pattern, row)
    return [*range(min(most, len(patterns))), *(row for row in first.values() if row >= most)]
