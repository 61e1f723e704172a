"""PAPE, probabilistic adaptive performance estimation: CBPE, calibrated for rows like the live ones.

J. Białek, W. Kuberski, N. Perrakis and A. Bifet, "Estimating model performance under covariate shift without labels"
(2024), arXiv 2401.08348. Rows of the reference count in the calibration as often as rows like them come live.
"""

from __future__ import annotations

from gitml.monitoring.estimates.cbpe import Cbpe, calibrated
from gitml.monitoring.estimates.rows import Evaluated, Rows, expected
from gitml.monitoring.harm.losses import Floats


class Pape(Cbpe):
    name = "PAPE"

    def estimate(self, metric: str, reference: Evaluated, ratio: Floats, live: Rows) -> float:
        return expected(metric, calibrated(reference, ratio, live), live.predicted)
