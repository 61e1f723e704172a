"""A model file of known classes alone, with settings that reach files, start processes or call something."""

from __future__ import annotations

import hashlib
import operator
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.cluster import FeatureAgglomeration
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gitml.errors import IntegrityError
from gitml.models.loading import load
from gitml.models.sklearnsettings import everything, settle
from serving_models import fitted, mixed_pipelines

WORDS = {"inputs": [{"name": "text", "type": "string"}], "outputs": [{"name": "p", "type": "float64"}]}


def texts(vectorizer: Any) -> Any:
    """A pipeline over one column of texts."""
    import pandas as pd

    columns = ColumnTransformer([("words", vectorizer, "text")])
    frame = pd.DataFrame({"text": ["late flight", "on time", "very late", "time flies"]})
    return Pipeline([("columns", columns), ("last", LogisticRegression())]).fit(frame, [1, 0, 1, 0])


def opened(model: Any, folder: Path) -> Any:
    path = folder / "model.skops"
    skops.io.dump(model, path)
    return load(path, "skops", WORDS, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer, HashingVectorizer])
@pytest.mark.parametrize("source", ["filename", "file"])
def test_a_vectorizer_that_opens_what_a_request_names_is_refused(kind: Any, source: str, tmp_path: Path) -> None:
    model = texts(kind())
    assert opened(model, tmp_path).predict({"text": ["late", "time"]}).shape == (2,)
    model[0].named_transformers_["words"].set_params(input=source)
    with pytest.raises(IntegrityError, match=f"input='{source}', through which it reaches files"):
        opened(model, tmp_path)


def a_cache(place: str) -> list[Any]:
    steps = [("scale", StandardScaler()), ("last", LogisticRegression())]
    inner = Pipeline(steps, memory=place)
    return [
        inner,
        make_pipeline(FeatureUnion([("deep", inner)]), LogisticRegression()),
        StackingClassifier([("deep", inner)]),
        FeatureAgglomeration(memory=place),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_cache_of_pickles_on_the_disk_is_refused_however_deep(number: int, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="the setting memory"):
        settle(a_cache(str(tmp_path))[number])


@pytest.mark.parametrize(
    "value",
    [
        open, "text".upper, CountVectorizer().decode, partial(open, "/etc/passwd"), operator.attrgetter("x"),
        np.add.reduce, LogisticRegression, Path("/etc/passwd"), zipfile.ZipFile, (n for n in ()),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_more_than_data_is_refused_wherever_it_stands(value: Any) -> None:
    for model in (
        FunctionTransformer(kw_args={"a": [{"b": value}]}),
        make_pipeline(StandardScaler(), FunctionTransformer(value)),
        [np.array([value, 1], object)],
        {1: LogisticRegression(class_weight=(value,))},
    ):
        with pytest.raises(IntegrityError, match="the model is not loaded"):
            settle(model)


def test_a_default_that_would_be_called_is_refused() -> None:
    from collections import defaultdict

    with pytest.raises(IntegrityError):
        settle(CountVectorizer(vocabulary=defaultdict(open)))


def test_processes_and_prints_are_the_servers_own() -> None:
    rows, truth = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    model = BaggingClassifier(RandomForestClassifier(3), 2).fit(rows, truth)
    wanted = model.predict_proba(rows)
    for one in (model, *model.estimators_):
        one.set_params(n_jobs=4, verbose=50)
    settle(model)
    assert {getattr(m, "n_jobs", None) for m in everything(model) if hasattr(m, "get_params")} == {None}
    assert {getattr(m, "verbose", 0) for m in everything(model) if hasattr(m, "get_params")} == {0}
    assert np.array_equal(model.predict_proba(rows), wanted)


def test_honest_models_pass() -> None:
    rows, truth = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    for model in (
        *(fitted(name) for name in ("boosting", *mixed_pipelines())),
        FunctionTransformer(np.log1p).fit(rows),
        TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1).fit(rows, rows[:, 0]),
        IsotonicRegression().fit(rows[:, 0], truth),
        SGDClassifier(loss="log_loss", random_state=np.random.RandomState(1)).fit(rows, truth),
        TfidfVectorizer(dtype=np.float32, ngram_range=(1, 2)).fit(["a word", "another word"]),
    ):
        settle(model)


@pytest.mark.parametrize(
    "pattern",
    [r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"\w+", r"[a-z]+", r"\b[a-zA-Z]{3,}", r"(?u)\b\w{2,}\b", r"\S+", r"[^\s,]+"],
)
def test_words_are_found_by_patterns_that_come_to_an_end(pattern: str) -> None:
    settle(CountVectorizer(token_pattern=pattern))
    text = "a" * 20_000 + "1!" + "b " * 2_000
    CountVectorizer(token_pattern=pattern).fit([text])


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(?:\w+\s?)+!", r"\w*\w*\w*!", r"\w+!", r"[a-z]+\b", r"(a|aa)+$", "("])
def test_a_pattern_that_may_never_end_is_refused(pattern: str) -> None:
    with pytest.raises(IntegrityError, match="can take for ever"):
        settle(make_pipeline(TfidfVectorizer(token_pattern=pattern), LogisticRegression()))
