"""The model `delay`: gradient boosting on the raw columns, saved as data that loads without running code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

from files import StageError, replacing
from flights import CATEGORIES

# The one type that skops does not trust by itself: scikit-learn's array of tree nodes, which holds no code.
TRUSTED = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


def build(settings: Mapping[str, Any]) -> Pipeline:
    """An unfitted pipeline that takes the columns of the signature; an unknown word counts as missing."""
    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer([("words", words, list(CATEGORIES))], remainder="passthrough")
    trees = HistGradientBoostingClassifier(
        learning_rate=settings["learning_rate"],
        max_iter=settings["max_iter"],
        max_leaf_nodes=settings["max_leaf_nodes"],
        min_samples_leaf=settings["min_samples_leaf"],
        l2_regularization=settings["l2_regularization"],
        # Told of categories, the trees hold functions that skops would have to trust; splits on the order of the
        # codes are no worse on the validation days.
        categorical_features=None,
        # Rows that scikit-learn would set aside at random belong to the same days as those it fits on.
        early_stopping=False,
        random_state=settings["seed"],
    )
    return Pipeline([("columns", columns), ("trees", trees)])


def fit(model: Pipeline, rows: pd.DataFrame, truth: pd.Series) -> Pipeline:
    """Fit on one thread: scikit-learn does not promise equal sums of floats for other numbers of threads."""
    with threadpool_limits(limits=1):
        return model.fit(rows, truth)


def predict(model: Pipeline, rows: pd.DataFrame) -> NDArray[np.float64]:
    """The probability that each flight is late."""
    with threadpool_limits(limits=1):
        return model.predict_proba(rows)[:, 1]


def save(model: Pipeline, path: Path) -> None:
    """Save with skops; refuses a model that needs trust in more types than TRUSTED."""
    with replacing(path) as temporary:
        skops.io.dump(model, temporary)
        untrusted = sorted(set(skops.io.get_untrusted_types(file=temporary)) - set(TRUSTED))
        if untrusted:
            raise StageError(f"{path.name} would need trust in {', '.join(untrusted)}: servers refuse that")


def load(path: Path) -> Pipeline:
    """Load the model; no type is trusted beyond TRUSTED and those that skops knows."""
    try:
        return skops.io.load(path, trusted=list(TRUSTED))
    except (OSError, BadZipFile, KeyError, ValueError, TypeError) as error:
        raise StageError(f"{path} cannot be loaded: {error}. Run the stage `train`") from error
