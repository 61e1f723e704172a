"""A model is handed what training had for a missing word: what scikit-learn itself answers is the right value."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from gitml.models.loading import load
from serving_models import saved

OUTPUTS = [{"name": "p", "type": "float64"}]
NUMBER = {"name": "x", "type": "float64", "nullable": True}
WORDS = ["a", "b", "c"]


def table(missing: Any, count: int = 300) -> pd.DataFrame:
    """Words of which the first is the most frequent, and the missing ones go with a label of their own."""
    random = np.random.default_rng(7)
    words = random.choice(["a", "b", "c", None], count, p=[0.5, 0.2, 0.1, 0.2])
    frame = pd.DataFrame({"c": pd.Series(words, dtype="object"), "x": random.normal(size=count)})
    frame.loc[::11, "x"] = np.nan
    frame["c"] = pd.Series([missing if w is None else w for w in words], dtype="object")
    return frame


def truth(frame: pd.DataFrame) -> Any:
    return ((frame["c"] == "b") | frame["c"].isna() & (frame["x"].fillna(0) > -1)).astype(int)


def numbers() -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler())


def columns(words: Any) -> Any:
    return ColumnTransformer([("num", numbers(), ["x"]), ("cat", words, ["c"])])


def onehot(**options: Any) -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", **options)


def ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5, encoded_missing_value=-9)


def rare() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40)


FIRST: dict[str, Callable[[Any], Any]] = {
    "most frequent": lambda m: columns(
        make_pipeline(SimpleImputer(missing_values=m, strategy="most_frequent"), onehot())
    ),
    "constant": lambda m: columns(
        make_pipeline(SimpleImputer(missing_values=m, strategy="constant", fill_value="none"), onehot())
    ),
    "constant, rare": lambda m: columns(
        make_pipeline(SimpleImputer(missing_values=m, strategy="constant", fill_value="none"), rare())
    ),
    "an imputer that looks for NaN": lambda m: columns(
        make_pipeline(SimpleImputer(missing_values=np.nan, strategy="most_frequent"), onehot())
    ),
    "one hot": lambda m: columns(onehot()),
    "rare": lambda m: columns(rare()),
    "ordinal": lambda m: columns(ordinal()),
    "target": lambda m: columns(TargetEncoder(smooth=2.0)),
    "by position": lambda m: ColumnTransformer(
        [("n", numbers(), [1]), ("c", make_pipeline("passthrough", onehot()), [0])]
    ),
    "two ways": lambda m: columns(FeatureUnion([("a", onehot()), ("b", ordinal())])),
}


@pytest.mark.parametrize("missing", [np.nan, None])
@pytest.mark.parametrize("name", FIRST)
def test_missing_words_are_those_of_training(name: str, missing: Any, tmp_path: Path) -> None:
    frame = table(missing)
    pipeline = Pipeline([("columns", FIRST[name](missing)), ("regression", LogisticRegression())])
    pipeline.fit(frame, truth(frame))
    path = saved(pipeline, tmp_path / "model.skops")
    asked = {"c": [None, None, "a", "b"], "x": [0.1, None, 0.1, None]}
    handed = {"c": [missing, missing, "a", "b"], "x": [0.1, np.nan, 0.1, np.nan]}
    right = pipeline.predict_proba(pd.DataFrame({"c": pd.Series(handed["c"], dtype="object"), "x": handed["x"]}))[:, 1]
    for categories in ({}, {"categories": WORDS}):
        word = {"name": "c", "type": "string", "nullable": True, **categories}
        signature = {"inputs": [word, NUMBER], "outputs": OUTPUTS}
        model = load(path, "skops", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        assert np.allclose(model.predict(asked), right, rtol=0, atol=1e-12)
        alone = [float(model.predict({k: [v[n]] for k, v in asked.items()})[0]) for n in range(4)]
        assert np.allclose(alone, right, rtol=0, atol=1e-12)


def test_empty_cells_of_a_csv_are_what_pandas_made_of_them(tmp_path: Path) -> None:
    text = "c,x,y\n" + "a,1.0,0\nb,2.0,1\n,0.5,0\na,0.1,1\n,,0\nb,0.3,1\n" * 20
    frame = pd.read_csv(io.StringIO(text))
    pipeline = Pipeline(
        [
            ("columns", columns(make_pipeline(SimpleImputer(strategy="most_frequent"), onehot()))),
            ("regression", LogisticRegression()),
        ]
    ).fit(frame[["c", "x"]], frame["y"])
    path = saved(pipeline, tmp_path / "model.skops")
    signature = {"inputs": [{"name": "c", "type": "string", "nullable": True}, NUMBER], "outputs": OUTPUTS}
    model = load(path, "skops", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    right = pipeline.predict_proba(frame[["c", "x"]].iloc[[2]])[0, 1]
    assert model.predict({"c": [None], "x": [0.5]})[0] == pytest.approx(right)


def test_an_unknown_word_is_not_taken_for_the_category_of_empty_words(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": pd.Series(["", "a", "", "b"] * 20, dtype="object"), "x": np.arange(80.0)})
    pipeline = Pipeline([("columns", columns(rare())), ("regression", LogisticRegression())])
    pipeline.fit(frame, (frame["c"] == "").astype(int))
    path = saved(pipeline, tmp_path / "model.skops")
    word = {"name": "c", "type": "string", "categories": ["", "a", "b"]}
    model = load(
        path,
        "skops",
        {"inputs": [word, NUMBER], "outputs": OUTPUTS},
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    asked = pd.DataFrame({"c": pd.Series(["z", ""], dtype="object"), "x": [1.0, 1.0]})
    right = pipeline.predict_proba(asked)[:, 1]
    assert right[0] != pytest.approx(right[1])
    assert np.allclose(model.predict(asked.to_dict("list")), right, rtol=0, atol=1e-12)
