"""What every training does before and after its model is fitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from files import StageError, rounded, say, write_json
from flights import DAY, LABEL, inputs, read_days, signature, window
from scoring import Cost, auc, best_threshold


@dataclass(frozen=True)
class Split:
    """The rows to fit on, the later rows to choose the threshold on, and the columns the model sees."""

    fit: pd.DataFrame
    validation: pd.DataFrame
    columns: list[str]


def splits(settings: Mapping[str, Any], *, weather: bool) -> Split:
    """Rows of the training window; the holdout is not read."""
    days = window(settings)
    split = Split(read_days(days.fit), read_days(days.validation), inputs(weather=weather))
    for name, rows in (("fit", split.fit), ("validation", split.validation)):
        share = rows[LABEL].mean()
        if share in (0, 1):
            raise StageError(f"the days to {name} on have only one outcome: widen `window` in params.yaml")
        say(f"{name}: {len(rows):,} flights, {share:.1%} late")
    say(f"weather: {'seen' if weather else 'not seen'}; {len(split.columns)} columns")
    return split


def finish(folder: Path, split: Split, predicted: NDArray[np.float64], cost: Mapping[str, float]) -> None:
    """Write the signature and the threshold that costs least on the validation days.

    The signature says the newest day that fitting or the choice of threshold has seen, for the gate `data_age`.
    """
    truth = split.validation[LABEL].to_numpy(float)
    threshold = best_threshold(truth, predicted, Cost(**cost))
    newest = {"data_until": split.validation[DAY].max()}
    write_json(folder / "signature.json", signature(split.fit, split.columns) | newest)
    write_json(folder / "threshold.json", {"threshold": rounded(threshold)})
    area = auc(truth, predicted, np.ones_like(truth))
    say(f"validation: AUC {area:.3f}, cheapest threshold {threshold:.2f}")
