"""``gitml traffic``: what a window holds, and whether it is complete."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import UsageError
from gitml.traffic.marks import Completeness, completeness
from gitml.traffic.reader import Window, requests

_COLUMNS = ("arm", "version", "outcome", "environment")


@dataclass(frozen=True)
class Summary:
    """``rows`` by arm, version and outcome, and how many of them have a label."""

    completeness: Completeness
    rows: dict[tuple[str, str, str], tuple[int, int]]


def summary(folder: str, model: str, window: Window, environment: str = "", *, spool: Path | None = None) -> Summary:
    """Raises UsageError for a window without ``since``, ``until`` and ``at``."""
    if window.since is None or window.until is None or window.at is None:
        raise UsageError("a window has a beginning, an end and a moment", "name them with --since, --until, --at")
    rows: Counter[tuple[str, str, str]] = Counter()
    labelled: Counter[tuple[str, str, str]] = Counter()
    for batch in requests(folder, model, window, spool=spool, columns=_COLUMNS):
        columns = [batch[name].to_pylist() for name in (*_COLUMNS, "label_arrived")]
        for arm, version, outcome, where, told in zip(*columns, strict=True):
            if environment and where not in (None, environment):
                continue
            key = arm or "", version or "", outcome
            rows[key] += 1
            labelled[key] += told is not None
    found = completeness(folder, window.since, window.until, at=window.at, environment=environment)
    return Summary(found, {key: (count, labelled[key]) for key, count in sorted(rows.items())})
