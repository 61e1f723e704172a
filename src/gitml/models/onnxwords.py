"""The words that an ONNX graph knows of its inputs: those that its encoders list.

https://onnx.ai/onnx/operators/ : OneHotEncoder, LabelEncoder and CategoryMapper of ai.onnx.ml.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

import onnx
import onnx.numpy_helper

# By operator, the attribute that lists its words.
_ENCODERS = {"OneHotEncoder": "cats_strings", "LabelEncoder": "keys_strings", "CategoryMapper": "cats_strings"}
# What hands a single column on as it is.
_KEEP = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
_ML = "ai.onnx.ml"
_MOST_COLUMNS = 10_000  # of one tensor: a graph that joins a tensor with itself doubles them with each node


def known_words(content: bytes, inputs: Collection[str]) -> dict[str, frozenset[str]]:
    """By input, of those ``inputs`` that encoders alone see, in a graph without branches; whatever ``whole`` gave."""
    model = onnx.ModelProto()
    model.ParseFromString(content)
    graph = model.graph
    if any(attribute.type in (attribute.GRAPH, attribute.GRAPHS) for n in graph.node for attribute in n.attribute):
        return {}
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer if one.data_type == one.INT64}
    seen: dict[str, tuple[str, ...]] = {name: (name,) for name in inputs}  # by tensor the inputs that its columns are
    words: dict[str, set[str] | None] = {}
    for node in graph.node:
        columns = list(islice((name for tensor in node.input for name in seen.get(tensor, ())), _MOST_COLUMNS + 1))
        if not columns:
            continue
        if len(columns) > _MOST_COLUMNS:
            return {}
        handed_on = _handed_on(node, columns, constants) if len(node.output) == 1 else None
        listed = _listed(node)
        if handed_on is not None and all(tensor in seen or tensor in constants for tensor in node.input):
            seen[node.output[0]] = handed_on
        else:
            for name in columns:
                before = words.get(name, set())
                words[name] = None if listed is None or before is None else before | listed
    for name in (name for output in graph.output for name in seen.get(output.name, ())):
        words[name] = None
    return {name: frozenset(found) for name, found in words.items() if found is not None}


def _handed_on(node: Any, columns: list[str], constants: Any) -> tuple[str, ...] | None:
    """The inputs that the columns of what ``node`` gives are; None where it changes them."""
    if node.domain == "" and node.op_type in _KEEP and len(columns) == 1:
        return tuple(columns)
    if node.domain == "" and node.op_type == "Concat" and _axis(node) in (1, -1):
        return tuple(columns)
    if node.domain == _ML and node.op_type == "ArrayFeatureExtractor" and node.input[1] in constants:
        places = constants[node.input[1]].ravel()[: _MOST_COLUMNS + 1].tolist()
        return tuple(columns[place] for place in places) if all(0 <= p < len(columns) for p in places) else None
    return None


def _axis(node: Any) -> int | None:
    return next((int(a.i) for a in node.attribute if a.name == "axis"), None)


def _listed(node: Any) -> frozenset[str] | None:
    name = _ENCODERS.get(node.op_type) if node.domain == _ML else None
    for attribute in node.attribute if name else ():
        if attribute.name == name and attribute.strings:
            return frozenset(text.decode("utf-8", "replace") for text in attribute.strings)
        if attribute.name == "keys_tensor" and attribute.t.data_type == onnx.TensorProto.STRING:
            return frozenset(text.decode("utf-8", "replace") for text in attribute.t.string_data)
    return None
