"""What the values of a table's columns are like, in few numbers, without the values of single rows.

A profile tells how a column is distributed, and nothing about any row: numbers are counted in cells of a grid that
does not depend on them, and values of text are named only where a few of them are shared by many rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gitml.stats.grid import MOST_CELLS, partition

MOST_COLUMNS = 64
# With more different values than this, a column of text holds names, sentences or keys rather than categories.
MOST_VALUES = 256
MOST_NAMED = 16
LONGEST_VALUE = 40
LONGEST_NAME = 200
FEWEST_ROWS = 20
_DIGITS = 4
_PERSONAL = re.compile(r"@|\d{5}|(?:\d[\s./()+-]?){7}")

Share = Annotated[float, Field(ge=0, le=1)]
Whole = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, defer_build=True)


class Numbers(_Part):
    """Shares of the values below the first edge, between each two, and from the last on: ``gitml.stats.grid``.

    ``missing`` is the share of rows with no finite number; the other figures are of the rows that have one.
    """

    kind: Literal["number"] = "number"
    missing: Share
    whole: bool = False
    mean: float | None = None
    deviation: float | None = None
    edges: Annotated[tuple[float, ...], Field(max_length=2 * MOST_CELLS)]
    shares: Annotated[tuple[Share, ...], Field(max_length=2 * MOST_CELLS + 1)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.shares) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must rise, with a share more than there are edges")
        if not 0.9 < sum(self.shares) < 1.1:
            raise ValueError("shares must add up to 1")
        return self


class Categories(_Part):
    """The most frequent of ``values`` different values, with their shares; ``rest`` is that of the others."""

    kind: Literal["category"] = "category"
    missing: Share
    values: Whole
    shares: Annotated[Mapping[Annotated[str, Field(max_length=LONGEST_VALUE)], Share], Field(max_length=MOST_NAMED)]
    rest: Share

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if not 0.9 < sum(self.shares.values()) + self.rest < 1.1:
            raise ValueError("shares must add up to 1 with the rest")
        return self


class Untold(_Part):
    """A column of which nothing but missing values is told, and why.

    ``text``: names, sentences or keys; ``private``: gitml.yaml says so; ``time``, ``nested``, ``binary``: of such a
    type; ``mixed``: not of one kind in all files; ``empty``: no value at all.
    """

    kind: Literal["untold"] = "untold"
    why: Literal["text", "private", "time", "nested", "binary", "mixed", "empty"]
    missing: Share | None = None


Column = Annotated[Numbers | Categories | Untold, Field(discriminator="kind")]


class Profile(_Part):
    """``rows`` is how many were looked at for numbers; ``left_out`` how many columns are not among ``columns``."""

    rows: Whole
    columns: Annotated[Mapping[Annotated[str, Field(max_length=LONGEST_NAME)], Column], Field(max_length=MOST_COLUMNS)]
    left_out: Whole = 0


def of_numbers(ordered: Sequence[float], rows: int, *, whole: bool, mean: float, deviation: float) -> Numbers | Untold:
    """``ordered`` holds the finite values among ``rows`` rows, sorted; ``whole``: all of them are whole numbers."""
    if not len(ordered):
        return Untold(why="empty", missing=1.0)
    edges, counts = partition(ordered, whole=whole)
    return Numbers(
        missing=_share(rows - len(ordered), rows),
        whole=whole,
        # The mean of few values tells them.
        mean=_figure(mean) if len(ordered) >= FEWEST_ROWS else None,
        deviation=_figure(deviation) if len(ordered) >= FEWEST_ROWS else None,
        edges=edges,
        shares=tuple(_share(count, len(ordered)) for count in counts),
    )


def of_categories(counts: Mapping[str, int], rows: int) -> Categories | Untold:
    """``counts`` has the rows of every value there is. One that looks like a person's keeps all of them untold.

    A value is named when at least 20 rows, and one in a thousand, have it.

    >>> of_categories({"UA": 60, "AA": 30, "rare": 2}, 100).shares
    {'UA': 0.6522, 'AA': 0.3261}
    """
    present = sum(counts.values())
    if not present:
        return Untold(why="empty", missing=1.0)
    if len(counts) > MOST_VALUES or any(is_personal(value) for value in counts):
        return Untold(why="text", missing=_share(rows - present, rows))
    fewest = max(FEWEST_ROWS, present / 1000)
    often = sorted((value for value, n in counts.items() if n >= fewest), key=lambda v: (-counts[v], v))[:MOST_NAMED]
    rest = present - sum(counts[value] for value in often)
    if not often:
        return Untold(why="text", missing=_share(rows - present, rows))
    return Categories(
        missing=_share(rows - present, rows),
        values=len(counts),
        shares={value: _share(counts[value], present) for value in often},
        rest=_share(rest, present),
    )


def is_personal(value: str) -> bool:
    """E-mail addresses, numbers of telephones, cards and customers; sentences are longer than a category's name."""
    return len(value) > LONGEST_VALUE or _PERSONAL.search(value) is not None


def _share(count: int, of: int) -> float:
    return round(count / of, _DIGITS) if of else 0.0


def _figure(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
