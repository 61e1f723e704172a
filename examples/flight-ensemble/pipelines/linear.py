"""Stage `linear`: a logistic regression on the same flights, and how good it is on the days it has not seen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evaluation import evaluate
from files import params, replacing, run
from flights import CATEGORIES, LABEL
from training import finish, splits

FOLDER = Path("artifacts/linear")


def build(settings: Mapping[str, Any], columns: list[str]) -> Pipeline:
    """An unfitted pipeline that takes the columns of the signature; an unknown word is none of the known."""
    numbers = Pipeline([("fill", SimpleImputer(add_indicator=True)), ("scale", StandardScaler())])
    table = ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES)),
            ("numbers", numbers, [name for name in columns if name not in CATEGORIES]),
        ]
    )
    return Pipeline([("columns", table), ("regression", LogisticRegression(C=settings["regularization"]))])


def main() -> None:
    """Write the model and all that describes it."""
    window, cost, settings = params("window", "cost", "linear")
    split = splits(window, weather=settings["weather"])
    model = build(settings, split.columns).fit(split.fit[split.columns], split.fit[LABEL])

    def predict(rows: pd.DataFrame) -> NDArray[np.float64]:
        return model.predict_proba(rows)[:, 1]

    with replacing(FOLDER / "model.skops") as temporary:
        skops.io.dump(model, temporary)
    finish(FOLDER, split, predict(split.validation[split.columns]), cost)
    evaluate(FOLDER, predict)


if __name__ == "__main__":
    run(main)
