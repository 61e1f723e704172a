"""From sketches to what the scan takes: the last looks, added up to windows, against the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gitml.monitoring.drift.scan import Baseline
from gitml.monitoring.drift.strata import Reweighted, compared, reweighted
from gitml.monitoring.promise import WINDOWS
from gitml.sketches.counts import Counts
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import CLUSTERS, Sketch


def windowed(looks: Sequence[Sketch]) -> dict[int, Sketch]:
    """The last 1, 2, 3, 4, 8, 16 and 32 looks as one sketch each, as far as there are so many; newest look last.

    Rows of one day or unit in two looks are rows of one cluster: sketches know which, counts would not.
    """
    found: dict[int, Sketch] = {}
    total: Sketch | None = None
    for size, look in enumerate(reversed(looks[-max(WINDOWS) :]), start=1):
        total = look if total is None else total + look
        if size in WINDOWS:
            found[size] = total
    return found


def comparable(
    reference: ReferenceSketch,
    windows: Mapping[int, Sketch],
    clusters: Sequence[str] = CLUSTERS,
    columns: Iterable[str] = (),
    *,
    stratified: bool = True,
) -> tuple[dict[str, dict[int, Counts]], dict[str, Baseline]]:
    """Each column's counts of the windows, by their number of looks, and its baseline; of all columns, or these.

    Rows of a column are clustered by that of ``clusters`` which leaves the fewest effective rows of the reference.
    ``stratified``: the contexts that the reference was written with are held fixed.
    """
    counts, baselines = {}, {}
    for column in columns or reference.layout.columns:
        cluster = worst_cluster(reference, column, clusters)
        alike = reference.alike[cluster][column] if cluster else 0.0
        grid = reference.layout.columns[column]
        baselines[column] = Baseline(grid, reference.sketch.counts(column, cluster), alike)
        counts[column] = {size: window.counts(column, cluster) for size, window in windows.items()}
        if stratified and reference.layout.context:
            counts[column], mixed = _stratified(reference, windows, column, counts[column])
            baselines[column] = replace(baselines[column], mixed=mixed)
    return counts, baselines


def _stratified(
    reference: ReferenceSketch, windows: Mapping[int, Sketch], column: str, counts: Mapping[int, Counts]
) -> tuple[dict[int, Counts], dict[int, Reweighted]]:
    """Windows without any row that could be compared are left out."""
    some, mixed = {}, {}
    for size, window in windows.items():
        found = reweighted(reference.sketch, window, column)
        if found:
            mixed[size], known = found
            some[size] = compared(counts[size], window, column, known)
    return some, mixed


def worst_cluster(reference: ReferenceSketch, column: str, clusters: Sequence[str] = CLUSTERS) -> str:
    """'' where the reference has no clusters.

    Days, where they leave as few as hours: a reference whose rows only tell their day has one hour in each.
    """

    def effective(cluster: str) -> tuple[float, bool]:
        counted = reference.sketch.counts(column, cluster).effective(reference.alike[cluster][column])
        return counted, cluster != "day"

    return min((c for c in clusters if c in reference.alike), key=effective, default="")


def joint_cluster(reference: ReferenceSketch, clusters: Sequence[str] = CLUSTERS) -> str:
    """By what rows as a whole are alike: the cluster that leaves the fewest effective rows of any column; '' for none.

    What rows share in one column they share as rows.
    """
    found = {c: worst_cluster(reference, c, clusters) for c in reference.layout.columns}
    least = min(
        (c for c in found if found[c]),
        key=lambda c: reference.sketch.counts(c, found[c]).effective(reference.alike[found[c]][c]),
        default="",
    )
    return found[least] if least else ""
