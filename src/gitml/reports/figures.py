"""Numbers for people: as many digits as the interval around them justifies."""

from __future__ import annotations

import math

MINUS = "\u2212"
_MOST = 6


def decimals(*widths: float | None) -> int:
    """Decimals that show two digits of the narrowest width.

    >>> decimals(0.021), decimals(3.0), decimals(None)
    (3, 1, 4)
    """
    known = [abs(width) for width in widths if width]
    if not known:
        return 4
    return min(max(1 - math.floor(math.log10(min(known))), 0), _MOST)


def figure(value: float | None, places: int = 4) -> str:
    """A number with so many decimals; very large and small ones with an exponent; a dash for none.

    >>> figure(0.70312, 3), figure(19283.0), figure(-0.05, 2), figure(-0.0001, 2), figure(None), figure(1e300)
    ('0.703', '19,283', '−0.05', '0.00', '–', '1e+300')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if not 10.0**-_MOST <= abs(value) < 1e9:
        text = f"{value:.3g}"
    elif value == int(value) and abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.{places}f}"
        if not text.strip("-0."):
            text = text.lstrip("-")
    return text.replace("-", MINUS) if text.startswith("-") else text


def signed(value: float | None, places: int = 4) -> str:
    """A difference.

    >>> signed(0.0521, 3), signed(-12.0, 1), signed(0.0, 2)
    ('+0.052', '−12.0', '0')
    """
    text = figure(value, places)
    return f"+{text}" if value is not None and value > 0 else text


def between(low: float | None, high: float | None, places: int = 4, *, sign: bool = False) -> str:
    """An interval, empty where there is none.

    >>> between(0.01, 0.02, 2), between(-0.01, 0.02, 2, sign=True)
    ('0.01 to 0.02', '−0.01 to +0.02')
    """
    if low is None or high is None:
        return ""
    show = signed if sign else figure
    return f"{show(low, places)} to {show(high, places)}"


def share(value: float | None) -> str:
    """A share of rows.

    >>> share(0.2273), share(0.00004), share(None)
    ('22.7 %', '0.004 %', '–')
    """
    if value is None:
        return "–"
    percent = value * 100
    places = 1 if percent == 0 or percent >= 0.1 else 3
    return f"{percent:.{places}f} %"


def interval(low: float | None, high: float | None, *, whole: bool = False) -> str:
    """The numbers from ``low`` to below ``high``; None where there is no end.

    >>> interval(2.0, 2.5), interval(None, -1.0), interval(8.0, 9.0, whole=True), interval(8.0, 12.0, whole=True)
    ('2–2.5', '< −1', '8', '8–11')
    """
    if low is None or high is None:
        return "all" if low is high else f"< {_edge(high)}" if high is not None else f"≥ {_edge(low or 0.0)}"
    last = high - 1 if whole else high
    return _edge(low) if last in (low, math.nextafter(low, math.inf)) else f"{_edge(low)}–{_edge(last)}"


def _edge(value: float) -> str:
    """Between nothing and the smallest number that rows have, edges are as small as floats go: that is zero."""
    if abs(value) < 1e-30:
        return "0"
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def plural(count: int, one: str, many: str = "") -> str:
    """
    >>> plural(1, "row"), plural(1200, "row"), plural(2, "is", "are")
    ('1 row', '1,200 rows', '2 are')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
