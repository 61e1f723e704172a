"""Both models: what the signature says goes in, a probability comes out, and nothing but data is loaded."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import boosting
from files import StageError
from flights import CATEGORIES, LABEL, inputs, signature
from prepare import features

TREES = {
    "learning_rate": 0.1,
    "max_iter": 20,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 10,
    "l2_regularization": 0.0,
    "seed": 1,
}
NET = {
    "embedding": 3,
    "hidden": [8],
    "dropout": 0.1,
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "batch": 64,
    "epochs": 3,
    "seed": 1,
}
COLUMNS = inputs(weather=True)


@pytest.fixture
def table(world: Any) -> pd.DataFrame:
    return features(world.flights, world.planes, world.weather, 15)


class Boosting:
    name = "model.skops"
    save, load, predict = boosting.save, boosting.load, boosting.predict

    @staticmethod
    def fit(rows: pd.DataFrame) -> Any:
        return boosting.fit(boosting.build(TREES), rows[COLUMNS], rows[LABEL])


class Net:
    """torch is imported by who runs these tests: it takes two seconds, which each process that collects would pay."""

    name = "model.safetensors"

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("network"), name)

    def fit(self, rows: pd.DataFrame) -> Any:
        return importlib.import_module("network").fit(rows, COLUMNS, rows[LABEL], NET)


@pytest.fixture(params=[Boosting, Net()], ids=["Boosting", "Net"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.nightly
def test_loaded_model_predicts_the_same_bytes(kind: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    model = kind.fit(table)
    kind.save(model, tmp_path / kind.name)
    before, after = kind.predict(model, table[COLUMNS]), kind.predict(kind.load(tmp_path / kind.name), table[COLUMNS])
    assert before.tobytes() == after.tobytes()
    assert before.dtype == np.float64
    assert ((before > 0) & (before < 1)).all()
    assert len(set(before)) > 10
    assert [path.name for path in tmp_path.iterdir()] == [kind.name]


def test_equal_fits_predict_the_same_bytes(kind: Any, table: pd.DataFrame) -> None:
    first, second = (kind.predict(kind.fit(table), table[COLUMNS]) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_unknown_words_and_missing_numbers_are_predicted(kind: Any, table: pd.DataFrame) -> None:
    model = kind.fit(table)
    nullable = [field["name"] for field in signature(table, COLUMNS)["inputs"] if field.get("nullable")]
    strange = table[COLUMNS].head(5).assign(carrier="ZZ", dest="???", **dict.fromkeys(nullable, np.nan))
    found = kind.predict(model, strange)
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1)).all()


def test_a_single_row_is_predicted_as_in_the_batch(kind: Any, table: pd.DataFrame) -> None:
    model = kind.fit(table)
    batch = kind.predict(model, table[COLUMNS])
    assert kind.predict(model, table[COLUMNS].iloc[[3]])[0] == pytest.approx(batch[3], abs=1e-6)


def test_signature_describes_what_the_model_accepts(kind: Any, table: pd.DataFrame) -> None:
    found = signature(table, COLUMNS)
    assert [field["name"] for field in found["inputs"]] == COLUMNS
    assert found["outputs"] == [{"name": "p_late", "type": "float64"}]
    types = {"string": "str", "int64": "int64", "float64": "float64"}
    request = pd.DataFrame(
        {
            field["name"]: pd.Series([field.get("categories", [3])[0]], dtype=types[field["type"]])
            for field in found["inputs"]
        }
    )
    assert np.isfinite(kind.predict(kind.fit(table), request)).all()
    words = [field["name"] for field in found["inputs"] if "categories" in field]
    assert words == list(CATEGORIES)


def test_an_absent_column_is_an_error(kind: Any, table: pd.DataFrame) -> None:
    model = kind.fit(table)
    with pytest.raises((ValueError, KeyError), match="distance"):
        kind.predict(model, table[COLUMNS].drop(columns="distance"))


def test_a_broken_file_is_explained(kind: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / kind.name
    with pytest.raises(StageError, match="cannot be loaded"):
        kind.load(path)
    kind.save(kind.fit(table), path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StageError, match="cannot be loaded"):
        kind.load(path)


def test_the_skops_file_needs_trust_in_one_named_type(table: pd.DataFrame, tmp_path: Path) -> None:
    boosting.save(Boosting.fit(table), tmp_path / "model.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == list(boosting.TRUSTED)


def test_a_model_that_holds_a_function_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"model\.skops would need trust in"):
        boosting.save(Pipeline([("code", FunctionTransformer(_shout))]), tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def _shout(rows: Any) -> Any:
    return rows


def test_the_network_does_not_depend_on_the_state_of_torch(table: pd.DataFrame) -> None:
    import torch

    net = Net()
    torch.manual_seed(1)
    first = net.fit(table)
    torch.manual_seed(2)
    torch.rand(10)
    second = net.fit(table)
    assert net.predict(first, table).tobytes() == net.predict(second, table).tobytes()


def test_scaling_uses_the_rows_to_fit_on_and_survives_constants(table: pd.DataFrame) -> None:
    import network

    constant = table.assign(precip=0.0, temp=np.nan)
    config = network.configure(constant, COLUMNS, NET)
    _, numbers = network.tensors(config, constant)
    assert bool(numbers.isfinite().all())
    place = config.numbers.index("distance")
    assert float(numbers[:, place].mean()) == pytest.approx(0, abs=1e-5)
    assert float(numbers[:, len(config.numbers) + config.numbers.index("temp")].min()) == 1
