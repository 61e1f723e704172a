"""Is an ONNX file whole in itself? Read by the format's own parser, and looked through to the last part.

A tensor can stand in the graph, in a branch or loop inside it, in an attribute, a sparse tensor or a function; each may
name a file of the machine that loads it. So no place is looked up by name: every message is visited, whatever holds it.
What is handed on are not the bytes that came but the message that was looked at, written anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Any

import onnx
import onnx.numpy_helper
from google.protobuf.message import DecodeError, EncodeError, Message
from numpy.typing import NDArray

from gitml.errors import IntegrityError

# Operators of other domains may be anything that the runtime was built with, files among it.
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# A model's own functions stand in domains of their own; these are the runtime's.
_TAKEN = ("ai.", "com.", "org.")
_MOST_PARTS = 1_000_000
Call = tuple[str, str, str]  # domain, operator, overload
_LARGEST_DENSE = 1 << 27  # values of a sparse tensor, once the runtime has written out its zeros


def whole(content: bytes) -> bytes:
    """The model in ``content`` in a form that has one meaning. Raises IntegrityError for what ``why_not`` names."""
    model, why = _read(content)
    if why:
        raise IntegrityError(f"the ONNX file is not loaded: {why}", "export the model again, as one file")
    # The runtime takes settings from here, and nothing that a model needs.
    model.ClearField("metadata_props")
    try:
        written: bytes = model.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as exc:
        raise IntegrityError(f"the ONNX file is not loaded: {exc}", "models above 2 GB are not served") from exc
    return written


def weights(content: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of the graph itself that lie in ``content`` as their bytes, by name. Whatever ``whole`` gave."""
    model = onnx.ModelProto()
    model.ParseFromString(content)
    return {
        one.name: onnx.numpy_helper.to_array(one)
        for one in model.graph.initializer
        if one.HasField("raw_data") and one.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    }


def why_not(content: bytes) -> str:
    """Why this is not a model that can be loaded as data; "" when it is."""
    return _read(content)[1]


def _read(content: bytes) -> tuple[onnx.ModelProto, str]:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, ValueError) as exc:
        return model, f"it is cut off or damaged ({exc})"
    model.DiscardUnknownFields()
    return model, _about(model)


def _about(model: onnx.ModelProto) -> str:
    if not model.ir_version or not model.HasField("graph"):
        return "it has no graph"
    if model.training_info:
        return "it brings a training of its own"
    for number, part in enumerate(parts(model)):
        if number > _MOST_PARTS:
            return f"it has more than {_MOST_PARTS:,} parts"
        why = _about_part(part)
        if why:
            return why
    return _about_operators(model) or _about_functions(model)


def parts(top: Message) -> Iterator[Message]:
    """``top`` and every message inside it, however deep and wherever."""
    waiting = [top]
    while waiting:
        message = waiting.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += [value] if isinstance(value, Message) else list(value)


def _about_part(part: Any) -> str:
    if isinstance(part, onnx.TensorProto):
        if part.external_data or part.data_location != onnx.TensorProto.DEFAULT:
            return "some tensors lie in other files; save the model as one file"
        # At most eight values fit into a byte.
        if min(part.dims, default=0) < 0 or prod(part.dims) > 8 * part.ByteSize():
            return f"the tensor {part.name[:60]!r} has fewer values than its shape {list(part.dims)[:8]} says"
    if isinstance(part, onnx.SparseTensorProto) and (min(part.dims, default=0) < 0 or prod(part.dims) > _LARGEST_DENSE):
        return f"a sparse tensor of the shape {list(part.dims)[:8]} is too large"
    return ""


def _about_operators(model: onnx.ModelProto) -> str:
    own = {(f.domain, f.name, f.overload) for f in model.functions}
    for part in parts(model):
        if isinstance(part, onnx.NodeProto) and part.domain not in DOMAINS and _call(part) not in own:
            return f"it calls {part.op_type[:60]} of {part.domain[:60]}, which ONNX itself does not define"
    domains = DOMAINS | {domain for domain, *_ in own}
    strange = sorted({o.domain for part in (model, *model.functions) for o in part.opset_import} - domains)
    return f"it asks for the operators of {strange[0][:60]}, which ONNX itself does not define" if strange else ""


def _about_functions(model: onnx.ModelProto) -> str:
    """Functions are written out where they are called: in a circle for ever, in a pyramid a million times."""
    bodies = {(f.domain, f.name, f.overload): f for f in model.functions}
    if len(bodies) < len(model.functions):
        return "it defines a function twice"
    taken = next((domain for domain, *_ in bodies if domain in DOMAINS or domain.startswith(_TAKEN)), None)
    if taken is not None:
        return f"it defines a function in the domain {taken[:60]!r}, which is not its own"
    calls = {key: [c for c in _called(body) if c in bodies] for key, body in bodies.items()}
    sizes: dict[Call, int] = {}
    try:
        for key in TopologicalSorter(calls).static_order():
            sizes[key] = 1 + len(bodies[key].node) + sum(sizes[c] for c in calls[key])
    except CycleError:
        return "its functions call themselves"
    total = sum(sizes.get(c, 0) for c in _called(model.graph))
    return "its functions are too large once they are written out" if total > _MOST_PARTS else ""


def _called(body: Message) -> list[Call]:
    return [_call(part) for part in parts(body) if isinstance(part, onnx.NodeProto)]


def _call(node: onnx.NodeProto) -> Call:
    return node.domain, node.op_type, node.overload
