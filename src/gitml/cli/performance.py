"""What `gitml monitor` says of a model's performance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitml.output import printable, show


def show_performance(report: Any) -> None:
    """``report``: a PerformanceReport."""
    lines = [*_measured(report), *_estimated(report)]
    for line in lines:
        show(printable(line))
    if lines:
        show()


def _measured(report: Any) -> Iterator[str]:
    for one in report.metrics:
        ends = "" if one.low is None else f" ({one.low:.4g} to {one.high:.4g}, by {one.cluster})"
        before = f"; {one.evaluated.value:.4g} when evaluated" if one.evaluated else ""
        yield f"{one.metric} {one.value:.4g}{ends} on {one.labels:,} labels{before}"
    if report.sources:
        yield "labels of " + ", ".join(f"{name} {count:,}" for name, count in report.sources.items())
    worst = sorted((g for g in report.groups if _apart(g)), key=_apart, reverse=True)[:3]
    if worst:
        told = ", ".join(f"{g.column} {g.value} {g.measured.value:.4g}" for g in worst)
        yield f"farthest from their evaluation, in {worst[0].measured.metric}: {told}"
    if report.unfit:
        yield f"{report.unfit:,} labels are of another kind than the answers, and left out"


def _apart(group: Any) -> float:
    found = group.measured
    return abs(found.value - found.evaluated.value) if found and found.evaluated else 0.0


def _estimated(report: Any) -> Iterator[str]:
    newest = report.series[-1] if report.series else None
    for one in newest.estimated if newest else ():
        yield (
            f"estimated, as labels are missing: {one}; {one.method} was {one.error:.2g} off in {one.periods} periods "
            "of the evaluation "
            f"(saying that nothing has changed: {one.as_before:.2g}); overlap {one.overlap:.0%}"
        )
    if newest and newest.estimated:
        yield "an estimate does not see whether what follows from the inputs has changed (concept drift): labels do"
    elif newest and not newest.measured:
        yield f"newest window: {newest.why}"
    if report.why:
        yield report.why
    if report.suitability:
        found = report.suitability
        said = "surely" if found.suitable else "not surely"
        yield (
            f"suitability filter: {said} at most {found.margin:g} less accurate than when evaluated "
            f"({found.accuracy:.3f} against {found.evaluated:.3f}, p {found.p_value:.2g})"
        )
