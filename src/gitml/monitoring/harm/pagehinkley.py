"""The test of Page and Hinkley for a change of the mean, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def page_hinkley(
    values: Iterable[float],
    *,
    min_instances: int = 30,
    delta: float = 0.005,
    threshold: float = 50.0,
    alpha: float = 1 - 0.0001,
) -> Iterator[int]:
    """The places in ``values`` at which a change is noticed; after each the test begins anew.

    ``delta`` is what a value may differ from the mean and is not counted, ``threshold`` (λ) how much has to come
    together, ``alpha`` by how much earlier sums fade. Parameters and results are those of river 0.26.1.

    E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954); D. V. Hinkley, "Inference about the change-point
    from cumulative sum tests", Biometrika 58 (1971).

    >>> [*page_hinkley([0.0] * 100 + [1.0] * 100, threshold=10.0)]
    [110]
    """
    seen, mean, up, down, least, most = 0, 0.0, 0.0, 0.0, float("inf"), -1.0
    for place, value in enumerate(values):
        seen += 1
        mean += (value - mean) / seen
        up = alpha * up + value - mean - delta
        down = alpha * down + value - mean + delta
        least, most = min(least, up), max(most, down)
        if seen >= min_instances and (up - least > threshold or most - down > threshold):
            yield place
            seen, mean, up, down, least, most = 0, 0.0, 0.0, 0.0, float("inf"), -1.0
