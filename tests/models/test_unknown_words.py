"""Words that a model never saw are told, also where the signature does not list the words: the fitted encoders know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from gitml.models import ensemble
from gitml.models.loading import load
from gitml.models.model import Predictor, UnknownWordError
from gitml.models.onnxwords import known_words
from gitml.models.signature import InputError, parse, said_unknown
from gitml.models.sklearnways import ways
from serving_models import saved
from serving_server import VERSIONS

FRAME = pd.DataFrame({"c": pd.Series(["a", "b", "a", None] * 10, dtype="object"), "x": np.arange(40.0)})
TRUTH = np.arange(40) % 3 == 0
ASKED = {"c": ["a", "z", None, "y"], "x": [1.0, 2.0, 3.0, 4.0]}
SAID = ["c: 2 words that the model does not know"]


def columns(*parts: Any) -> Any:
    return ColumnTransformer([("x", "passthrough", ["x"]), *parts])


def onehot(**options: Any) -> Any:
    return make_pipeline(
        SimpleImputer(missing_values=None, strategy="constant", fill_value="none"), OneHotEncoder(**options)
    )


def ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)


FIRST: dict[str, Callable[[], Any]] = {
    "one hot": lambda: columns(("c", onehot(handle_unknown="ignore"), ["c"])),
    "ordinal": lambda: columns(("c", ordinal(), make_column_selector("c"))),
    "target": lambda: columns(("c", TargetEncoder(), ["c"])),
    "rare words": lambda: columns(("c", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=15), [0])),
}


def loaded(model: Any, path: Path, **word: Any) -> Predictor:
    word = {"name": "c", "type": "string", "nullable": True, **word}
    signature = {"inputs": [word, {"name": "x", "type": "float64"}], "outputs": [{"name": "p", "type": "float64"}]}
    place = saved(model, path / "model.skops")
    return load(place, "skops", signature, sha256=hashlib.sha256(place.read_bytes()).hexdigest())


def fitted(first: Any) -> Any:
    return Pipeline([("columns", first), ("regression", LogisticRegression())]).fit(FRAME, TRUTH)


def told(model: Predictor, asked: dict[str, Any]) -> list[str]:
    return said_unknown(model.signature.unknown(model.signature.columns(asked)))


@pytest.mark.parametrize("name", FIRST)
def test_the_encoder_tells_which_words_are_known(name: str, tmp_path: Path) -> None:
    model = loaded(fitted(FIRST[name]()), tmp_path)
    assert told(model, ASKED) == SAID
    assert told(model, {"c": ["b"], "x": [1.0]}) == []
    with pytest.raises(InputError) as refused:
        model.signature.refuse_unknown(model.signature.columns(ASKED))
    assert [(p.field, p.row) for p in refused.value.problems] == [("c", 1), ("c", 3)]


def test_so_do_categories_of_a_table_and_dictionaries(tmp_path: Path) -> None:
    frame = FRAME.assign(c=FRAME["c"].astype("category"))
    trees = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(frame, TRUTH)
    assert told(loaded(trees, tmp_path), ASKED) == SAID
    rows = FRAME.fillna("a").to_dict("records")
    vectors = make_pipeline(DictVectorizer(), LogisticRegression()).fit(rows, TRUTH)
    assert told(loaded(vectors, tmp_path, nullable=False), {**ASKED, "c": ["a", "z", "b", "y"]}) == SAID


def test_a_listed_word_that_the_model_never_saw_is_unknown_to_it(tmp_path: Path) -> None:
    model = loaded(fitted(FIRST["one hot"]()), tmp_path, categories=["a", "b", "y"])
    assert told(model, ASKED) == SAID
    assert told(model, {"c": [None, "b"], "x": [1.0, 2.0]}) == []


def test_texts_have_no_words_to_be_unknown(tmp_path: Path) -> None:
    frame = FRAME.fillna("a").assign(c=lambda f: f["c"] + " text")
    parts = ("t", TfidfVectorizer(), "c"), ("c", OneHotEncoder(handle_unknown="ignore"), ["c"])
    model = Pipeline([("columns", columns(*parts)), ("regression", LogisticRegression())]).fit(frame, TRUTH)
    assert told(loaded(model, tmp_path), ASKED | {"c": ["a", "z", "b", "y"]}) == []


def test_a_word_that_an_encoder_refuses_is_the_callers(tmp_path: Path) -> None:
    model = loaded(fitted(columns(("c", onehot(), ["c"]))), tmp_path)
    with pytest.raises(UnknownWordError, match="c in row 1"):
        model.predict(ASKED)


def test_an_ensemble_knows_what_all_its_members_know(tmp_path: Path) -> None:
    one = loaded(fitted(FIRST["target"]()), tmp_path)
    pins = [f"{{model: one, name: {name}, version: {VERSIONS[0]}, digest: {'0' * 64!r}}}" for name in ("a", "b")]
    content = f"ensemble: mean\nmembers: [{', '.join(pins)}]\n".encode()
    opened = ensemble.opened(content, parse_of(one), lambda *_: one)
    known = parse_of(one).knowing(opened.words)
    assert said_unknown(known.unknown(known.columns(ASKED))) == SAID


def test_unions_of_unions_hold_nobody_up() -> None:
    union: Any = OneHotEncoder()
    for _ in range(60):
        union = FeatureUnion([("a", union), ("b", union)])
    with pytest.raises(ValueError, match="column c goes more than 1000 ways"):
        ways(union, ["c"])


def parse_of(model: Predictor) -> Any:
    """Its signature as the record has it."""
    fields = [{"name": f.name, "type": f.type, "nullable": f.nullable} for f in model.signature.inputs]
    return parse({"inputs": fields, "outputs": [{"name": "p", "type": "float64"}]})


def onnx_file(nodes: list[Any]) -> bytes:
    """A graph of the words c, d and e."""
    value, kinds = helper.make_tensor_value_info, onnx.TensorProto
    given = [value(name, kinds.STRING, [None, 1]) for name in "cde"]
    graph = helper.make_graph(
        nodes, "g", given, [value("p", kinds.FLOAT, None)], [helper.make_tensor("second", kinds.INT64, [1], [1])]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)]
    return bytes(helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString())


def onnx_graph(path: Path, nodes: list[Any]) -> Predictor:
    path.write_bytes(onnx_file(nodes))
    fields = [{"name": name, "type": "string", "nullable": True} for name in "cde"]
    signature = {"inputs": fields, "outputs": [{"name": "p", "type": "float32"}]}
    return load(path, "onnx", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


ML = "ai.onnx.ml"


def test_encoders_of_an_onnx_graph_tell_their_words(tmp_path: Path) -> None:
    """c and d share a tensor, of which an encoder sees d; a word of e is known where one of two encoders lists it."""
    nodes = [
        helper.make_node("Concat", ["c", "d"], ["both"], axis=1),
        helper.make_node("ArrayFeatureExtractor", ["both", "second"], ["only"], domain=ML),
        helper.make_node("LabelEncoder", ["only"], ["n"], domain=ML, keys_strings=["a", "b"], values_floats=[1.0, 2.0]),
        helper.make_node("OneHotEncoder", ["e"], ["one"], domain=ML, cats_strings=["a"], zeros=1),
        helper.make_node("Flatten", ["one"], ["l"]),
        helper.make_node("Add", ["n", "l"], ["p"]),
    ]
    model = onnx_graph(tmp_path / "model.onnx", nodes)
    asked = {"c": ["z", "z"], "d": ["a", "y"], "e": ["a", None]}
    assert told(model, asked) == ["d: 1 word that the model does not know"]
    assert told(model, asked | {"e": ["y", "a"]}) == [f"{n}: 1 word that the model does not know" for n in "de"]
    beside = [
        *nodes[:-1],
        helper.make_node("Identity", ["e"], ["s"]),
        helper.make_node("LabelEncoder", ["s"], ["t"], domain=ML, keys_strings=["y"], values_floats=[1.0]),
        nodes[-1],
    ]
    assert told(onnx_graph(tmp_path / "two.onnx", beside), asked | {"e": ["y", "a"]}) == told(model, asked)
    compared = [*beside[:-1], helper.make_node("Hash", ["e"], ["h"]), nodes[-1]]
    content = onnx_file(compared)
    assert set(known_words(content, "cde")) == {"d"}


def test_a_graph_that_joins_a_tensor_with_itself_again_and_again_holds_nobody_up() -> None:
    doubled = [
        helper.make_node("Concat", [a, a], [b], axis=1) for a, b in pairwise(["c", *(f"c{n}" for n in range(60))])
    ]
    assert known_words(onnx_file(doubled), "cde") == {}
