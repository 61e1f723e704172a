"""Shapes of models beyond a table of numbers and one chance: texts, labels beside chances, many targets, other rows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PowerTransformer, StandardScaler

from gitml.errors import UsageError
from gitml.models.loading import load
from gitml.models.model import Predictor

GENERATOR = np.random.Generator(np.random.PCG64(5))
ROWS = pd.DataFrame({"a": GENERATOR.random(90) + 0.1, "b": GENERATOR.random(90) + 0.1})
TARGETS = np.column_stack([ROWS.a > 0.6, ROWS.b > 0.5]).astype(int)
WORDS = np.array(["no", "perhaps", "yes"])[np.digitize(ROWS.a, [0.4, 0.8])]
FLOAT = [{"name": name, "type": "float64"} for name in ("a", "b")]
TEXTS = ["good flight", "bad late flight", "late again", "good food"] * 10
TEXT_TRUTH = np.array([0, 1, 1, 0] * 10)


def served(
    model: Any, folder: Path, inputs: Any, outputs: dict[str, str], samples: Any = None, name: str = "model"
) -> Predictor:
    path = folder / f"{name}.skops"
    skops.io.dump(model, path)
    signature = {"inputs": inputs, "outputs": [{"name": n, "type": kind} for n, kind in outputs.items()]}
    return load(path, "skops", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), samples=samples)


def test_a_pipeline_that_begins_with_text_gets_texts(tmp_path: Path) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, TEXT_TRUTH)
    found = served(model, tmp_path, [{"name": "review", "type": "string"}], {"p": "float64"})
    asked = [*TEXTS[:4], "late food", ""]
    assert np.allclose(found.predict({"review": asked}), model.predict_proba(asked)[:, 1])
    two = [{"name": "review", "type": "string"}, {"name": "title", "type": "string"}]
    with pytest.raises(UsageError, match="takes one text a row; the signature names review, title") as raised:
        served(model, tmp_path, two, {"p": "float64"}, name="two")
    assert "ColumnTransformer" in str(raised.value.hint)


def test_a_pipeline_that_begins_with_dictionaries_gets_them(tmp_path: Path) -> None:
    rows = [{"word": w, "n": n} for w, n in zip(["x", "y", "z"] * 10, range(30), strict=True)]
    model = make_pipeline(DictVectorizer(), LogisticRegression()).fit(rows, [0, 1, 1] * 10)
    inputs = [{"name": "word", "type": "string"}, {"name": "n", "type": "int64"}]
    found = served(model, tmp_path, inputs, {"p": "float64"})
    asked = {"word": ["y", "x"], "n": [4, 9]}
    assert np.allclose(found.predict(asked), model.predict_proba([rows[4], {"word": "x", "n": 9}])[:, 1])


def test_a_label_stands_beside_the_chances_of_its_classes(tmp_path: Path) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(ROWS, WORDS)
    outputs = {"p_yes": "float64", "answer": "string", "p_no": "float64", "p_perhaps": "float64"}
    found = served(model, tmp_path, FLOAT, outputs).predict(ROWS.to_dict("list"))
    chances = model.predict_proba(ROWS)
    assert found[:, 1].tolist() == model.predict(ROWS).tolist()
    assert np.allclose(found[:, [2, 3, 0]].astype(float), chances)
    two = LogisticRegression().fit(ROWS, TARGETS[:, 0])
    found = served(two, tmp_path, FLOAT, {"late": "int64", "p_late": "float64"}, name="two").predict(
        ROWS.to_dict("list")
    )
    assert found[:, 0].tolist() == two.predict(ROWS).tolist()
    assert np.allclose(found[:, 1].astype(float), two.predict_proba(ROWS)[:, 1])
    with pytest.raises(UsageError, match="several outputs that are not numbers"):
        served(two, tmp_path, FLOAT, {"late": "int64", "x": "string", "p_late": "float64"}, name="three")


@pytest.mark.parametrize("kind", ["forest", "one by one", "chain"])
def test_many_targets_are_labels_or_chances(kind: str, tmp_path: Path) -> None:
    makers = {
        "forest": RandomForestClassifier(5, random_state=0),
        "one by one": MultiOutputClassifier(LogisticRegression()),
        "chain": ClassifierChain(LogisticRegression()),
    }
    model = makers[kind].fit(ROWS, TARGETS)
    asked, chances = ROWS.to_dict("list"), model.predict_proba(ROWS)
    seconds = chances if kind == "chain" else np.column_stack([part[:, 1] for part in chances])
    labels = served(model, tmp_path, FLOAT, {"late": "int64", "lost": "int64"})
    assert np.array_equal(labels.predict(asked), model.predict(ROWS))
    found = served(model, tmp_path, FLOAT, {"p_late": "float64", "p_lost": "float64"}, name="chances")
    assert np.allclose(found.predict(asked), seconds)
    with pytest.raises(UsageError, match=r"2 targets of 2, 2 classes, the signature 3 outputs"):
        served(model, tmp_path, FLOAT, dict.fromkeys("xyz", "float64"), name="three")


def test_many_numbers_are_answered(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS, TARGETS)
    found = served(model, tmp_path, FLOAT, {"x": "float64", "y": "float64"})
    assert np.allclose(found.predict(ROWS.to_dict("list")), model.predict(ROWS))


def test_mixtures_say_the_likeliest_part_or_how_likely_each_is(tmp_path: Path) -> None:
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    part = served(model, tmp_path, FLOAT, {"part": "int64"})
    assert np.array_equal(part.predict(ROWS.to_dict("list")), model.predict(ROWS))
    each = served(model, tmp_path, FLOAT, {"p_0": "float64", "p_1": "float64"}, name="each")
    assert np.allclose(each.predict(ROWS.to_dict("list")), model.predict_proba(ROWS))


@pytest.mark.parametrize("around", ["a vote", "a search"])
def test_columns_chosen_by_name_further_inside_are_found(around: str, tmp_path: Path) -> None:
    inner = make_pipeline(
        make_column_transformer((StandardScaler(), ["b"]), ("passthrough", ["a"])), LogisticRegression()
    )
    model = VotingClassifier([("one", inner)], voting="soft") if around == "a vote" else GridSearchCV(inner, {}, cv=2)
    model.fit(ROWS, TARGETS[:, 0])
    found = served(model, tmp_path, FLOAT, {"p": "float64"})
    assert found.how == ("frame" if around == "a vote" else "arrays")
    assert np.allclose(found.predict(ROWS.to_dict("list")), model.predict_proba(ROWS)[:, 1])


MONTHS = pd.DataFrame({"month": np.arange(60) % 12 + 1, "price": np.linspace(1, 9, 60)})
STRICT = {
    "months": make_column_transformer((OneHotEncoder(), ["month"]), remainder="passthrough"),
    "Box-Cox": make_column_transformer((PowerTransformer("box-cox"), ["month", "price"])),
    "a logarithm": make_column_transformer((FunctionTransformer(np.log), ["price"])),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STRICT)
def test_a_model_is_tried_with_sample_rows_and_not_with_zeros(name: str, tmp_path: Path) -> None:
    model = make_pipeline(STRICT[name], LinearRegression()).fit(MONTHS, MONTHS.price * 2 + MONTHS.month)
    inputs = [{"name": "month", "type": "int64"}, {"name": "price", "type": "float64"}]
    samples = MONTHS.to_dict("list")
    found = served(model, tmp_path, inputs, {"y": "float64"}, samples)
    assert np.allclose(found.predict(samples), model.predict(MONTHS))
    assert found.some(70).shape == (70, 2)
    assert np.isfinite(found.answers(found.some(70))).all()
    with pytest.raises(UsageError, match="a row made from its signature") as raised:
        served(model, tmp_path, inputs, {"y": "float64"}, name="without")
    assert "`samples` in gitml.yaml" in str(raised.value.hint)


def test_another_release_of_scikit_learn_is_named_where_a_model_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn.base

    monkeypatch.setattr(sklearn.base, "__version__", "1.99.3")
    model = LogisticRegression().fit(ROWS, TARGETS[:, 0])
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    monkeypatch.undo()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    signature = {"inputs": FLOAT, "outputs": [{"name": "p", "type": "float64"}]}
    assert load(path, "skops", signature, sha256=digest).format == "skops"
    wanted = f"scikit-learn 1.99.3 saved the model, and {sklearn.__version__} is here"
    with pytest.raises(UsageError, match=wanted) as raised:
        load(path, "skops", {**signature, "inputs": FLOAT[:1]}, sha256=digest)
    assert "release that it was trained with" in str(raised.value.hint)
