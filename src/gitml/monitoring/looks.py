"""From sketches to what the scan takes: one look is the sketch of its window, held against the reference's."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.monitoring.scan import Baseline
from gitml.sketches.counts import Counts
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import CLUSTERS, Sketch


def comparable(
    reference: ReferenceSketch, looks: Sequence[Sketch], clusters: Sequence[str] = CLUSTERS
) -> tuple[dict[str, list[Counts]], dict[str, Baseline]]:
    """Each column's counts of the looks, newest last, and its baseline.

    Rows of a column are clustered by that of ``clusters`` which leaves the fewest effective rows of the reference.
    """
    counts, baselines = {}, {}
    for column, grid in reference.layout.columns.items():
        cluster = worst_cluster(reference, column, clusters)
        alike = reference.alike[cluster][column] if cluster else 0.0
        baselines[column] = Baseline(grid, reference.sketch.counts(column, cluster), alike)
        counts[column] = [look.counts(column, cluster) for look in looks]
    return counts, baselines


def worst_cluster(reference: ReferenceSketch, column: str, clusters: Sequence[str] = CLUSTERS) -> str:
    """'' where the reference has no clusters."""

    def effective(cluster: str) -> float:
        return reference.sketch.counts(column, cluster).effective(reference.alike[cluster][column])

    return min((c for c in clusters if c in reference.alike), key=effective, default="")
