"""Small words for gates: verdicts, numbers that can be judged, many verdicts as one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitml.verdict import Phase, Verdict, worst


def passed(reason: str, measured: Mapping[str, object] | None = None) -> Verdict:
    return Verdict(Phase.SUCCESSFUL, reason, measured or {})


def failed(reason: str, measured: Mapping[str, object] | None = None) -> Verdict:
    return Verdict(Phase.FAILED, reason, measured or {})


def unclear(reason: str, measured: Mapping[str, object] | None = None) -> Verdict:
    return Verdict(Phase.INCONCLUSIVE, reason, measured or {})


def number(value: Any) -> float | None:
    """The value if it is a finite number; None for NaN, infinities, texts, booleans and whatever else.

    >>> number(1), number(float("nan")), number("0.9"), number(True)
    (1.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def shown(value: float) -> str:
    """
    >>> shown(0.65058), shown(19283.0), shown(2.0)
    ('0.6506', '19283', '2')
    """
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def together(parts: Sequence[Verdict], fine: str) -> Verdict:
    """The worst phase of all. The reason names what is not successful, or says ``fine`` where all is."""
    phase = worst(parts)
    measured = {name: value for part in parts for name, value in part.measurements.items()}
    if phase is Phase.SUCCESSFUL:
        return Verdict(phase, fine, measured)
    order = sorted((p for p in parts if p.phase is not Phase.SUCCESSFUL), key=lambda p: p.phase is not phase)
    return Verdict(phase, listed(p.reason for p in order) or "nothing was judged", measured)


def listed(reasons: Iterable[str], most: int = 8) -> str:
    """
    >>> listed(["a", "b", "a"])
    'a; b'
    """
    found = list(dict.fromkeys(reasons))
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + more
