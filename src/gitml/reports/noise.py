"""Better, worse or noise: one word for all the metrics of a comparison.

Each metric's own interval holds at 95 %, so of five metrics of an unchanged model one or the other would look changed
in about every sixth report. The word is said at a level of all metrics together: every interval is widened until the
chance that any of them misleads is at most ``FAMILY`` (Holm 1979). That level is stricter than 5 % because
percentile intervals of a few hundred resamples are a little too narrow, and because a new seed alone makes a model that
is truly a little better or worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gitml.reports.escape import code
from gitml.reports.rowfacts import Row
from gitml.stats.comparison import Reading
from gitml.stats.student import quantile

FAMILY = 0.025
_SINGLE = 0.05
_NAMED = 5


class Word(StrEnum):
    """What all metrics together say."""

    BETTER = "better"
    WORSE = "worse"
    MIXED = "better in some, worse in others"
    NOISE = "within noise"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class JudgedRows:
    """The word, and the rows behind it: ``hints`` are beyond noise alone but not among all; the rest is noise."""

    word: Word
    better: tuple[Row, ...] = ()
    worse: tuple[Row, ...] = ()
    hints: tuple[Row, ...] = ()
    noise: tuple[Row, ...] = ()
    unknown: tuple[Row, ...] = ()


def judge(rows: Sequence[Row]) -> JudgedRows:
    """The metrics with a direction decide; one that either side lacks is never counted as unchanged.

    >>> judge([Row("auc", 0.7, 0.6, 0.1, 0.08, 0.12, True, Reading.BETTER)]).word
    <Word.BETTER: 'better'>
    >>> judge([Row("auc", 0.7, 0.6, 0.1, -0.01, 0.21, True, Reading.NOISE)]).word
    <Word.NOISE: 'within noise'>
    >>> judge([]).word
    <Word.UNKNOWN: 'unknown'>
    """
    readable = [row for row in rows if row.reading is not Reading.UNKNOWN]
    clear = _clear(readable)
    better = tuple(row for row in clear if row.reading is Reading.BETTER)
    worse = tuple(row for row in clear if row.reading is Reading.WORSE)
    hints = tuple(row for row in readable if row.reading is not Reading.NOISE and row not in clear)
    noise = tuple(row for row in readable if row.reading is Reading.NOISE)
    unknown = tuple(row for row in rows if row.reading is Reading.UNKNOWN)
    return JudgedRows(_word(better, worse, readable), better, worse, hints, noise, unknown)


def judge_strictly(rows: Sequence[Row]) -> JudgedRows:
    """The same, but a metric that alone reads worse keeps the word better away: of a new version's promises none may
    stand on a metric that looks the other way.

    >>> up = Row("auc", 0.7, 0.6, 0.1, 0.08, 0.12, True, Reading.BETTER)
    >>> judge_strictly([up, Row("brier", 0.2, 0.1, 0.1, 0.005, 0.195, True, Reading.WORSE)]).word.value
    'better in some, worse in others'
    """
    found = judge(rows)
    doubts = tuple(row for row in found.hints if row.reading is Reading.WORSE)
    return replace(found, word=Word.MIXED) if found.word is Word.BETTER and doubts else found


def _word(better: tuple[Row, ...], worse: tuple[Row, ...], readable: Sequence[Row]) -> Word:
    if better and worse:
        return Word.MIXED
    if better or worse:
        return Word.BETTER if better else Word.WORSE
    return Word.NOISE if readable else Word.UNKNOWN


def widening(metrics: int, freedom: int | None = None) -> float:
    """By what an interval of 95 % grows so that ``metrics`` of them hold together, by more where few refits made it.

    >>> round(widening(1), 2), round(widening(5), 2), round(widening(5, 8), 2)
    (1.14, 1.43, 1.66)
    """
    return quantile(1 - FAMILY / (2 * max(metrics, 1)), freedom) / quantile(1 - _SINGLE / 2, freedom)


def _clear(readable: Sequence[Row]) -> list[Row]:
    """The rows that hold among all: the clearest must hold with every interval widened for all of them, the next
    with those for one fewer, and so on up to the first that does not (Holm 1979)."""
    apart = [row for row in readable if row.reading is not Reading.NOISE]
    ordered = sorted(apart, key=lambda row: _clearance(row) / widening(len(readable), row.freedom), reverse=True)
    found: list[Row] = []
    for place, row in enumerate(ordered):
        if _clearance(row) <= widening(len(readable) - place, row.freedom):
            break
        found.append(row)
    return [row for row in apart if row in found]


def _clearance(row: Row) -> float:
    """How much the interval can grow before it holds zero. Without an interval nothing is beyond noise."""
    if row.value is None or row.low is None or row.high is None:
        return 0.0
    reach = row.value - row.low if row.value > 0 else row.high - row.value
    return abs(row.value) / reach if reach > 0 else math.inf


def contained(rows: Sequence[Row]) -> str:
    """What the intervals count as chance and what they do not, as Markdown; "" where there are none.

    >>> contained([Row("auc", 0.7, 0.6, 0.1, 0.08, 0.12)])
    'The intervals count the chance of the evaluated rows, not that of training: another seed may move a metric as far.'
    """
    judged = [row for row in rows if row.low is not None and row.high is not None]
    refitted = [row.metric for row in judged if row.freedom is not None]
    if not judged:
        return ""
    start = "The intervals count the chance of the evaluated rows"
    if not refitted:
        return f"{start}, not that of training: another seed may move a metric as far."
    if len(refitted) == len(judged):
        return f"{start} and that of training, from fits with other seeds."
    more = len(refitted) - _NAMED
    named = ", ".join(code(name, 40) for name in refitted[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{start}, and that of training only for {named}."
