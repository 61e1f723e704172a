"""CBPE, confidence-based performance estimation: calibrated chances stand in for the labels.

J. Kivimäki, J. Białek, W. Kuberski and J. K. Nurminen, "Performance estimation in binary classification using
calibrated confidence" (2025), arXiv 2505.05295. Chances are calibrated on the reference by isotonic regression; with
more than two classes one class against the others, and then so that they add up to one. It assumes that a score means
the same for live rows as it did in the evaluation.
"""

from __future__ import annotations

import numpy as np
from sklearn.isotonic import IsotonicRegression

from gitml.monitoring.estimates.rows import Evaluated, Rows, expected
from gitml.monitoring.harm.losses import Floats


class Cbpe:
    name = "CBPE"

    def fits(self, reference: Evaluated) -> bool:
        return reference.task != "numbers" and reference.rows.scores.shape[1] > 0

    def estimate(self, metric: str, reference: Evaluated, ratio: Floats, live: Rows) -> float:
        return expected(metric, calibrated(reference, np.ones_like(ratio), live), live.predicted)


def calibrated(reference: Evaluated, weight: Floats, live: Rows) -> Floats:
    """The chance of each class for the live rows (of the second class alone, where there are two)."""
    scores, places = reference.rows.scores, range(reference.rows.scores.shape[1])
    of = [1] if len(places) == 1 else places
    found = np.column_stack(
        [
            _isotonic(scores[:, place], (reference.truth == which).astype(np.float64), weight, live.scores[:, place])
            for place, which in zip(places, of, strict=True)
        ]
    )
    if len(places) == 1:
        return found
    whole = found.sum(axis=1, keepdims=True)
    return np.where(whole > 0, found / np.where(whole > 0, whole, 1), 1 / len(places))


def _isotonic(scores: Floats, truth: Floats, weight: Floats, live: Floats) -> Floats:
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return np.asarray(curve.fit(scores, truth, sample_weight=weight).predict(live), dtype=np.float64)
