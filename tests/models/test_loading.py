"""What is loaded, and what is refused before anything interprets it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import struct
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors
from sklearn.linear_model import LogisticRegression

from gitml.errors import IntegrityError, UsageError
from gitml.models.loading import load
from serving_models import SIGNATURE, columns, fitted, mixed_pipelines, network, onnx_model, saved


class Bomb:
    """Whoever unpickles this leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def boosting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(fitted("boosting"), tmp_path_factory.mktemp("model") / "model.skops")


def test_a_pipeline_gives_on_arrays_what_it_gives_on_a_table(boosting: Path) -> None:
    model = load(boosting, "skops", SIGNATURE, sha256=digest(boosting))
    table = columns(400)
    assert model.how == "arrays"
    assert np.array_equal(model.predict(table.to_dict("list")), fitted("boosting").predict_proba(table)[:, 1])


@pytest.mark.parametrize("name", mixed_pipelines())
def test_every_kind_of_pipeline_gives_the_same(name: str, tmp_path: Path) -> None:
    pipeline = fitted(name)
    path = saved(pipeline, tmp_path / "model.skops")
    model = load(path, "skops", SIGNATURE, sha256=digest(path))
    table = columns(100)
    assert model.how == ("frame" if name == "target" else "arrays")
    assert np.allclose(model.predict(table.to_dict("list")), pipeline.predict_proba(table)[:, 1], rtol=0, atol=1e-12)


def test_rows_one_by_one_give_what_rows_together_give(boosting: Path) -> None:
    model = load(boosting, "skops", SIGNATURE, sha256=digest(boosting))
    rows = columns(600).to_dict("records")
    together = model.answers(model.signature.rows(rows))
    alone = [model.answers(model.signature.rows([row]))[0, 0] for row in rows]
    assert np.array_equal(together[:, 0], alone)


def test_a_model_may_be_called_from_many_threads(boosting: Path) -> None:
    model = load(boosting, "skops", SIGNATURE, sha256=digest(boosting))
    table = columns(50).to_dict("list")
    wanted, found = model.predict(table), []

    def call() -> None:
        found.extend(np.array_equal(model.predict(table), wanted) for _ in range(30))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 240


@pytest.mark.parametrize("form", ["skops", "safetensors", "onnx", "pickle"])
def test_a_pickle_is_never_read_whatever_its_name(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{form}"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(IntegrityError, match="pickle"):
        load(path, form, SIGNATURE, sha256=digest(path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_is_no_skops_file(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol))
    with pytest.raises(IntegrityError):
        load(path, "skops", SIGNATURE, sha256=digest(path))
    assert not (tmp_path / "ran").exists()


def test_a_pickle_is_loaded_where_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(fitted("boosting")))
    model = load(path, "pickle", SIGNATURE, sha256=digest(path), allow_pickle=True)
    assert model.predict(columns(3).to_dict("list")).shape == (3,)


def test_another_digest_is_refused(boosting: Path) -> None:
    with pytest.raises(IntegrityError, match="not the model that was approved"):
        load(boosting, "skops", SIGNATURE, sha256="0" * 64)


def test_a_cut_off_file_is_refused_even_if_the_record_has_its_digest(boosting: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(boosting.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="cut off"):
        load(path, "skops", SIGNATURE, sha256=digest(path))


def test_a_symbolic_link_a_folder_and_a_pipe_are_refused(boosting: Path, tmp_path: Path) -> None:
    link, pipe = tmp_path / "link.skops", tmp_path / "pipe.skops"
    link.symlink_to(boosting)
    os.mkfifo(pipe)
    for path in (link, tmp_path, pipe, tmp_path / "none"):
        with pytest.raises(IntegrityError):
            load(path, "skops", SIGNATURE, sha256=digest(boosting))


def test_a_skops_file_with_strange_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    node = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "__id__": 1,
        "content": "os.system",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps({**node, "protocol": 2, "_skops_version": "0.16.0"}))
    with pytest.raises(IntegrityError, match=r"vouches|readable|loaded"):
        load(path, "skops", SIGNATURE, sha256=digest(path))


@pytest.mark.parametrize(("field", "value"), [("left", 1 << 20), ("right", 0), ("feature_idx", 99)])
def test_a_tree_that_leads_nowhere_is_refused(field: str, value: int, tmp_path: Path) -> None:
    pipeline = copy.deepcopy(fitted("boosting"))
    pipeline[-1]._predictors[3][0].nodes[field][0] = value
    path = saved(pipeline, tmp_path / "model.skops")
    with pytest.raises(IntegrityError, match="lead nowhere"):
        load(path, "skops", SIGNATURE, sha256=digest(path))


def test_a_zip_bomb_is_refused_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("zeros.npy", bytes(50 << 20))
    with pytest.raises(IntegrityError, match="would unpack"):
        load(path, "skops", SIGNATURE, sha256=digest(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x08\x07", struct.pack("<Q", 1 << 60) + b"{}", b"\0" * 64])
@pytest.mark.parametrize("form", ["skops", "safetensors", "onnx"])
def test_rubbish_is_refused_in_every_format(content: bytes, form: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        load(path, form, SIGNATURE, sha256=digest(path))


@pytest.mark.nightly
def test_a_described_network_gives_what_torch_gives(tmp_path: Path) -> None:
    content, torch_predict = network()
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    model = load(path, "safetensors", SIGNATURE, sha256=digest(path))
    table = columns(200)
    assert np.allclose(model.predict(table.to_dict("list")), torch_predict(table), rtol=0, atol=1e-6)


def test_a_network_that_nobody_describes_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(save_tensors({"weight": np.zeros((1, 2), np.float32)}))
    with pytest.raises(UsageError, match="does not say what to compute") as caught:
        load(path, "safetensors", SIGNATURE, sha256=digest(path))
    assert "ONNX" in caught.value.hint


@pytest.mark.parametrize("where", ["weight", "layers"])
def test_a_network_whose_description_is_wrong_is_refused(where: str, tmp_path: Path) -> None:
    layers = [{"kind": "linear", "weight": "absent"}] if where == "weight" else [{"kind": "eval", "code": "1"}]
    described = {"network": 1, "features": [{"kind": "number", "column": "distance"}], "layers": layers}
    path = tmp_path / "model.safetensors"
    path.write_bytes(save_tensors({"weight": np.zeros((1, 1), np.float32)}, {"network": json.dumps(described)}))
    with pytest.raises(UsageError, match="description"):
        load(path, "safetensors", SIGNATURE, sha256=digest(path))


def test_a_cut_off_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(network()[0][:-4])
    with pytest.raises(IntegrityError, match="do not fill"):
        load(path, "safetensors", SIGNATURE, sha256=digest(path))


def test_an_onnx_model_answers(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path, signature = onnx_model(tmp_path / "model.onnx")
    model = load(path, "onnx", signature, sha256=digest(path))
    assert model.predict({"a": [1.0, 2.0], "b": [10.0, 20.0]}).tolist() == [21.0, 42.0]


def test_a_model_that_does_not_fit_its_signature_is_not_loaded(boosting: Path) -> None:
    signature = {**SIGNATURE, "outputs": [{"name": n, "type": "float64"} for n in "abc"]}
    with pytest.raises(UsageError, match="2 classes, the signature 3 outputs"):
        load(boosting, "skops", signature, sha256=digest(boosting))
    fewer = {**SIGNATURE, "inputs": SIGNATURE["inputs"][:-1]}
    with pytest.raises(UsageError):
        load(boosting, "skops", fewer, sha256=digest(boosting))


@pytest.mark.parametrize("prefix", ["", "p_"])
@pytest.mark.parametrize("order", [["a", "b", "c"], ["c", "a", "b"]])
def test_outputs_named_by_class_have_the_chances_of_that_class(prefix: str, order: list[str], tmp_path: Path) -> None:
    x = np.arange(60.0)[:, None]
    model = LogisticRegression().fit(x, np.repeat(["a", "b", "c"], 20))
    path = saved(model, tmp_path / "model.skops")
    outputs = [{"name": f"{prefix}{name}", "type": "float64"} for name in order]
    signature = {"inputs": [{"name": "x", "type": "float64"}], "outputs": outputs}
    loaded = load(path, "skops", signature, sha256=digest(path))
    wanted = model.predict_proba(x)[:, [list(model.classes_).index(name) for name in order]]
    assert np.allclose(loaded.predict({"x": x[:, 0]}), wanted)


def test_one_output_named_by_a_class_is_the_chance_of_that_class(tmp_path: Path) -> None:
    x = np.arange(40.0)[:, None]
    model = LogisticRegression().fit(x, np.repeat(["no", "yes"], 20))
    path = saved(model, tmp_path / "model.skops")
    for name, place in (("no", 0), ("p_yes", 1), ("late", 1)):
        signature = {"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": name, "type": "float64"}]}
        found = load(path, "skops", signature, sha256=digest(path)).predict({"x": x[:, 0]})
        assert np.allclose(found, model.predict_proba(x)[:, place])


def test_outputs_of_which_only_some_are_named_by_classes_are_refused(tmp_path: Path) -> None:
    x = np.arange(60.0)[:, None]
    path = saved(LogisticRegression().fit(x, np.repeat(["a", "b", "c"], 20)), tmp_path / "model.skops")
    outputs = [{"name": name, "type": "float64"} for name in ("b", "a", "other")]
    with pytest.raises(UsageError, match="not each by its own"):
        load(path, "skops", {"inputs": [{"name": "x", "type": "float64"}], "outputs": outputs}, sha256=digest(path))
