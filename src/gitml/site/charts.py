"""Small line charts as coordinates: a template draws them as SVG that follows the page's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitml.reports.figures import decimals, figure

WIDTH, HEIGHT = 640, 150
SPARK_HEIGHT = 24
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 10, 24


@dataclass(frozen=True)
class ChartPoint:
    """``label`` stands below it, ``said`` is told of it; ``mark``: good, bad, odd or empty. ``is_cut``: something
    changed here, and a line stands through it."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    said: str = ""
    mark: str = ""
    href: str = ""
    is_cut: bool = False


@dataclass(frozen=True)
class DrawnPoint:
    x: float
    y: float
    low: float | None
    high: float | None
    point: ChartPoint


@dataclass(frozen=True)
class LineChart:
    """``level`` is the height of a line that values are held against; ``ticks`` are heights with their figures."""

    title: str
    line: str
    points: tuple[DrawnPoint, ...]
    ticks: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, str, str], ...]
    level: float | None
    level_said: str
    width: int = WIDTH
    height: int = HEIGHT


def line_chart(
    title: str, points: Sequence[ChartPoint], level: float | None = None, level_said: str = ""
) -> LineChart | None:
    """None for fewer than two points: a table says it."""
    if len(points) < 2:
        return None
    ends = [end for p in points for end in (p.value, p.low, p.high) if end is not None]
    ends += [] if level is None else [level]
    low, high = _padded(min(ends), max(ends))
    across = (WIDTH - _LEFT - _RIGHT) / (len(points) - 1)

    def height(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    drawn = tuple(
        DrawnPoint(
            round(_LEFT + place * across, 1),
            height(p.value),
            None if p.low is None else height(p.low),
            None if p.high is None else height(p.high),
            p,
        )
        for place, p in enumerate(points)
    )
    line = "M" + "L".join(f"{one.x:g} {one.y:g}" for one in drawn)
    places = decimals(high - low)
    ticks = tuple((height(value), figure(value, places)) for value in (high, (low + high) / 2, low))
    return LineChart(title, line, drawn, ticks, _labels(drawn), None if level is None else height(level), level_said)


@dataclass(frozen=True)
class Sparkline:
    """Lines with gaps where nothing is known, between nought and ``most``."""

    lines: tuple[str, ...]
    first: float
    last: float
    most: float
    known: int
    width: int
    height: int = SPARK_HEIGHT


def sparkline(values: Sequence[float | None]) -> Sparkline | None:
    """A pixel for each value. None for fewer than two that are known.

    >>> sparkline([0, None, 2, 4]).lines
    ('M0 23h1', 'M2 12L3 1')
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    most = max(known)
    lines: list[list[str]] = []
    for x, value in enumerate(values):
        if value is None:
            continue
        if not x or values[x - 1] is None:
            lines.append([])
        lines[-1].append(f"{x} {round(SPARK_HEIGHT - 1 - (value / most if most else 0) * (SPARK_HEIGHT - 2))}")
    drawn = tuple(f"M{'L'.join(line)}" + ("h1" if len(line) == 1 else "") for line in lines)
    return Sparkline(drawn, known[0], known[-1], most, len(known), len(values))


def _padded(low: float, high: float) -> tuple[float, float]:
    gap = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - gap, high + gap


def _labels(drawn: Sequence[DrawnPoint]) -> tuple[tuple[float, str, str], ...]:
    """Below the first, the middle and the last point, with the side at which each text is anchored."""
    first, middle, last = drawn[0], drawn[len(drawn) // 2], drawn[-1]
    found = [(first.x, first.point.label, "start"), (last.x, last.point.label, "end")]
    if len(drawn) > 4:
        found.insert(1, (middle.x, middle.point.label, "middle"))
    return tuple(found)
