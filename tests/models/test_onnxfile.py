"""What an ONNX file may hold: a tensor of another file is refused wherever it stands and however it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gitml.errors import IntegrityError
from gitml.models.loading import load
from gitml.models.onnxfile import whole, why_not
from gitml.models.onnxsteadiness import is_steady
from serving_models import onnx_loop

SIGNATURE = {
    "inputs": [{"name": name, "type": "float64"} for name in ("a", "b")],
    "outputs": [{"name": "y", "type": "float64"}],
}
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
WEIGHTS = helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [1.0, 2.0])
OPSETS = [helper.make_opsetid("", 17)]


def model(nodes: list[Any] | None = None, initializers: Any = (WEIGHTS,), **more: Any) -> onnx.ModelProto:
    """x · w, unless ``nodes`` say something else."""
    graph = helper.make_graph(
        nodes or [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [X], [Y], list(initializers)
    )
    more.setdefault("opset_imports", OPSETS)
    return helper.make_model(graph, ir_version=8, **more)


def elsewhere(secret: Path) -> TensorProto:
    """Two numbers that lie in ``secret``."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=str(secret))
    return tensor


def in_a_branch(tensor: TensorProto) -> onnx.ModelProto:
    inner = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["z"])], "branch", [], [Y_AS_Z], [tensor])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return model([helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)], [yes])


Y_AS_Z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1])


def in_an_attribute(tensor: TensorProto) -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    return model([constant, helper.make_node("MatMul", ["x", "w"], ["y"])], [])


def in_a_sparse_tensor(tensor: TensorProto) -> onnx.ModelProto:
    made = model()
    made.graph.sparse_initializer.add(values=tensor, dims=[2, 1])
    return made


def in_a_function(tensor: TensorProto) -> onnx.ModelProto:
    body = [helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("MatMul", ["x", "w"], ["y"])]
    function = helper.make_function("mine", "weighted", ["x"], ["y"], body, OPSETS)
    call = helper.make_node("weighted", ["x"], ["y"], domain="mine")
    return model([call], [], functions=[function], opset_imports=[*OPSETS, helper.make_opsetid("mine", 1)])


def in_a_functions_default(tensor: TensorProto) -> onnx.ModelProto:
    made = in_a_function(WEIGHTS)
    made.functions[0].attribute_proto.append(helper.make_attribute("value", tensor))
    return made


PLACES: dict[str, Callable[[TensorProto], onnx.ModelProto]] = {
    "the graph": lambda tensor: model(initializers=[tensor]),
    "a branch": in_a_branch,
    "an attribute": in_an_attribute,
    "a sparse tensor": in_a_sparse_tensor,
    "a function": in_a_function,
    "a function's default": in_a_functions_default,
}


def opened(content: bytes, folder: Path) -> Any:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return load(path, "onnx", SIGNATURE, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Numbers that no model may have, where a model can name them: relative to where the process runs."""
    place = tmp_path / "secret"
    place.write_bytes(np.array([7.0, 7.0], np.float32).tobytes())
    return place


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_of_another_file_is_refused_wherever_it_stands(place: str, secret: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="other files"):
        opened(PLACES[place](elsewhere(secret)).SerializeToString(), tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_the_same_model_with_the_tensor_inside_is_loaded(place: str, tmp_path: Path) -> None:
    assert why_not(PLACES[place](WEIGHTS).SerializeToString()) == ""


def long_field(number: int, content: bytes) -> bytes:
    """A field whose length takes more bytes than it needs: parsers read it, and nobody who looks for words finds it."""
    length = len(content)
    return bytes([number << 3 | 2, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14 | 0x80, 0]) + content


def test_a_length_that_is_written_too_long_hides_nothing(secret: Path, tmp_path: Path) -> None:
    entry = long_field(1, b"location") + long_field(2, str(secret).encode())
    tensor = TensorProto(name="w", data_type=1, dims=[2, 1], data_location=TensorProto.EXTERNAL).SerializeToString()
    graph = long_field(5, tensor + long_field(13, entry))
    # Two fields of one message are one message: the graph gets its tensor afterwards.
    with pytest.raises(IntegrityError, match="other files"):
        opened(model(initializers=[]).SerializeToString() + long_field(7, graph), tmp_path)


def test_external_data_counts_without_its_mark(secret: Path, tmp_path: Path) -> None:
    tensor = elsewhere(secret)
    tensor.ClearField("data_location")
    with pytest.raises(IntegrityError, match="other files"):
        opened(model(initializers=[tensor]).SerializeToString(), tmp_path)


@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.preview.training", "example.evil"])
def test_operators_that_onnx_does_not_define_are_refused(domain: str, tmp_path: Path) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain=domain, ep_cache_context="/etc/passwd", embed_mode=0)
    made = model([node], opset_imports=[*OPSETS, helper.make_opsetid(domain, 1)])
    with pytest.raises(IntegrityError, match="does not define"):
        opened(made.SerializeToString(), tmp_path)
    with pytest.raises(IntegrityError, match="does not define"):
        opened(model(opset_imports=[*OPSETS, helper.make_opsetid(domain, 1)]).SerializeToString(), tmp_path)


def test_an_operator_inside_a_branch_counts(tmp_path: Path) -> None:
    made = in_a_branch(WEIGHTS)
    made.graph.node[0].attribute[0].g.node[0].domain = "com.microsoft"
    with pytest.raises(IntegrityError, match="does not define"):
        opened(made.SerializeToString(), tmp_path)


def test_a_function_is_not_defined_in_the_runtimes_name(tmp_path: Path) -> None:
    made = in_a_function(WEIGHTS)
    made.functions[0].domain = made.graph.node[0].domain = made.opset_import[1].domain = "com.microsoft"
    with pytest.raises(IntegrityError, match="not its own"):
        opened(made.SerializeToString(), tmp_path)


def calling(names: dict[str, list[str]]) -> bytes:
    """Functions that call others, by name."""
    opsets = [*OPSETS, helper.make_opsetid("mine", 1)]
    functions = [
        helper.make_function(
            "mine", name, ["x"], ["y"],
            [helper.make_node(c, ["x"], [f"y{n}" if n else "y"], domain="mine") for n, c in enumerate(inner)]
            or [helper.make_node("Identity", ["x"], ["y"])],
            opsets,
        )
        for name, inner in names.items()
    ]  # fmt: skip
    call = helper.make_node("f0", ["x"], ["y"], domain="mine")
    return model([call], [], functions=functions, opset_imports=opsets).SerializeToString()


def test_functions_in_a_circle_or_a_pyramid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="call themselves"):
        opened(calling({"f0": ["f1"], "f1": ["f0"]}), tmp_path)
    pyramid = {f"f{n}": [f"f{n + 1}"] * 2 for n in range(40)} | {"f40": []}
    with pytest.raises(IntegrityError, match="too large"):
        opened(calling(pyramid), tmp_path)


def test_a_tensor_that_claims_more_than_it_has_is_refused(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1], raw_data=bytes(8))
    with pytest.raises(IntegrityError, match="fewer values"):
        opened(model(initializers=[tensor]).SerializeToString(), tmp_path)
    sparse = model()
    sparse.graph.sparse_initializer.add(values=WEIGHTS, dims=[1 << 40])
    with pytest.raises(IntegrityError, match="too large"):
        opened(sparse.SerializeToString(), tmp_path)


def test_a_model_that_calls_itself_another_format_is_loaded_as_what_it_is(tmp_path: Path) -> None:
    # The runtime knows its own format by these four bytes behind the first four.
    made = model(producer_name="ORTM and more")
    assert made.SerializeToString()[4:8] == b"ORTM"
    assert opened(made.SerializeToString(), tmp_path).predict({"a": [1.0], "b": [2.0]}).tolist() == [5.0]


def test_settings_and_unknown_fields_do_not_reach_the_runtime() -> None:
    made = model()
    made.metadata_props.add(key="ort_config", value="{}")
    content = made.SerializeToString() + long_field(99 - 84, b"hidden")
    assert b"hidden" not in whole(content)
    assert b"ort_config" not in whole(content)


def test_it_is_known_whether_values_decide_how_long_a_call_takes(tmp_path: Path) -> None:
    assert opened(model().SerializeToString(), tmp_path).steady
    looping = onnx_loop(tmp_path / "loop.onnx", 3, ("a", "b")).read_bytes()
    assert not opened(looping, tmp_path).steady


def node(kind: str, inputs: list[str], output: str, **more: Any) -> Any:
    return helper.make_node(kind, inputs, [output], **more)


FIRST = [node("ReduceMax", ["x"], "most", keepdims=0), node("Cast", ["most"], "n", to=TensorProto.INT64)]
ONES = [helper.make_tensor(name, TensorProto.INT64, [1], [v]) for name, v in (("one", 1), ("minus", -1), ("zero", 0))]
BY_VALUE = {
    "a window": [*FIRST, node("HannWindow", ["n"], "s")],
    "a transform": [*FIRST, node("DFT", ["x", "n"], "s")],
    "an end": [*FIRST, node("Unsqueeze", ["n", "zero"], "e"), node("Slice", ["w", "zero", "e"], "s")],
    "a shape": [*FIRST, node("Reshape", ["n", "one"], "e"), node("Reshape", ["w", "e"], "s")],
    "places": [node("NonZero", ["x"], "s")],
    "a branch": list(in_a_branch(WEIGHTS).graph.node),
}


@pytest.mark.parametrize("name", BY_VALUE)
def test_a_size_that_a_value_says_is_not_steady(name: str) -> None:
    made = model([*BY_VALUE[name], node("ReduceSum", ["s"], "y")], [WEIGHTS, *ONES])
    assert not is_steady(made.SerializeToString())


def test_a_shape_that_comes_from_shapes_is_steady() -> None:
    """As exporters write it for any number of rows."""
    nodes = [
        node("Shape", ["x"], "sizes"),
        node("Gather", ["sizes", "zero"], "rows"),
        node("Concat", ["rows", "minus"], "sides", axis=0),
        node("Reshape", ["x", "sides"], "flat"),
        node("MatMul", ["flat", "w"], "y"),
    ]
    assert is_steady(model(nodes, [WEIGHTS, *ONES]).SerializeToString())
    # The same, but a request may say the initializer.
    made = model(nodes, [WEIGHTS, *ONES])
    made.graph.input.append(helper.make_tensor_value_info("minus", TensorProto.INT64, [1]))
    assert not is_steady(made.SerializeToString())


def test_functions_are_not_looked_into() -> None:
    assert not is_steady(in_a_function(WEIGHTS).SerializeToString())
