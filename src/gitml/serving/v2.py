"""The Open Inference Protocol, version 2: tensors in, tensors out, one per column of the signature.

A model whose inputs are all numbers also takes one tensor of shape (rows, inputs). Source:
https://github.com/open-inference/open-inference-protocol (rest/inference_rest.yaml) and Triton's extension
``binary_tensor_data``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from gitml.models.model import Answers
from gitml.models.signature import Signature, said_unknown
from gitml.serving.limits import Limits
from gitml.serving.plainjson import AskedRows, bounded, unit_of
from gitml.serving.v2binary import from_bytes, holds, out_of_range, to_bytes
from gitml.serving.wire import RequestError, Response, mapping, parse_json

_BY_TYPE = {
    "string": "BYTES",
    "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
DATATYPES = frozenset(_BY_TYPE.values())


def asked(body: bytes, head_length: int | None, signature: Signature, limits: Limits) -> AskedRows:
    """The request in ``body``; ``head_length``: bytes of JSON before the binary tensors. Raises HttpError."""
    if head_length is not None and not 0 < head_length <= len(body):
        raise RequestError(400, "json", "inference-header-content-length does not fit the body")
    found = mapping(parse_json(body[:head_length]))
    tensors = found.get("inputs")
    if not isinstance(tensors, list) or not tensors or not all(isinstance(t, dict) for t in tensors):
        raise RequestError(
            400, "json", "the request has no inputs", hint='write {"inputs": [{"name", "shape", "datatype", "data"}]}'
        )
    binary = memoryview(body)[head_length:] if head_length is not None else memoryview(b"")
    columns: dict[str, Any] = {}
    for tensor in tensors:
        values, shape, binary = _tensor(tensor, binary)
        name = str(tensor.get("name"))
        if name in columns:
            raise RequestError(
                400, "input", f"two tensors are named {name[:60]}", hint="send one tensor for each input"
            )
        if len(tensors) == 1 and _is_whole(name, shape, signature):
            columns = _split(values, shape[1], signature)
        elif len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            columns[name] = values
        else:
            words = f"{name[:60]} has the shape {shape}, expected one value a row: [rows] or [rows, 1]"
            raise RequestError(400, "input", words)
    if len(binary):
        raise RequestError(400, "json", f"{len(binary)} bytes lie behind the last tensor")
    bounded(max(len(c) for c in columns.values()), limits)
    parameters = found.get("parameters")
    unit = unit_of(parameters.get("unit")) if isinstance(parameters, dict) else ""
    return AskedRows(None, columns, unit, found.get("id"), found)


def answered(
    head: Mapping[str, str],
    signature: Signature,
    answers: Answers,
    found: Mapping[str, Any],
    unknown: Mapping[str, int] | None = None,
) -> Response:
    """The answer: JSON, or JSON followed by binary tensors where the request ``found`` asks for them.

    Raises HttpError 500 for an answer that its datatype does not hold.
    """
    wanted = _wanted(found, signature)
    listed, behind = [], []
    for place, field in enumerate(signature.outputs):
        if field.name not in wanted:
            continue
        tensor: dict[str, Any] = {"name": field.name, "shape": [len(answers)], "datatype": _BY_TYPE[field.type]}
        values = answers[:, place]
        if not holds(tensor["datatype"], values):
            words = f"the model's answer {field.name} is out of the range of {tensor['datatype']}"
            raise RequestError(500, "model", words, hint="the request is sound; the signature is too narrow")
        if wanted[field.name]:
            behind.append(to_bytes(values, tensor["datatype"]))
            tensor["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            tensor["data"] = values.tolist()
        listed.append(tensor)
    # The protocol's parameters are texts, numbers and truth values, so the lines are one text.
    warnings = {"parameters": {"warnings": "; ".join(said_unknown(unknown))}} if unknown else {}
    named = {"model_name": head["model"], "model_version": head["version"], "id": head["id"]}
    body = orjson.dumps({**named, **warnings, "outputs": listed})
    if not behind:
        return Response(body)
    headers = [(b"inference-header-content-length", str(len(body)).encode())]
    return Response(body + b"".join(behind), content_type=b"application/octet-stream", headers=headers)


def metadata(name: str, versions: Sequence[str], form: str, signature: Signature) -> dict[str, Any]:
    """What the protocol tells of a model."""
    inputs = [{"name": f.name, "datatype": _BY_TYPE[f.type], "shape": [-1]} for f in signature.inputs]
    outputs = [{"name": f.name, "datatype": _BY_TYPE[f.type], "shape": [-1]} for f in signature.outputs]
    return {"name": name, "versions": list(versions), "platform": f"gitml_{form}", "inputs": inputs, "outputs": outputs}


def _tensor(tensor: Mapping[str, Any], binary: memoryview) -> tuple[Any, list[int], memoryview]:
    """Its values in one list or array, its shape, and the binary data behind it."""
    name, shape, datatype = str(tensor.get("name"))[:60], tensor.get("shape"), tensor.get("datatype")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
        raise RequestError(400, "input", f"{name}: expected a shape such as [1], got {str(shape)[:60]}")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(400, "input", f"{name}: expected a datatype, one of {', '.join(sorted(DATATYPES))}")
    parameters = tensor.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(binary):
            raise RequestError(400, "input", f"{name}: binary_data_size does not fit the body")
        values, binary = from_bytes(binary[:size], str(datatype), name), binary[size:]
    else:
        values = _flat(tensor.get("data"), name)
        wrong = out_of_range(str(datatype), values)
        if wrong is not None:
            raise RequestError(400, "input", f"{name}: {str(wrong)[:40]} is not a value of {datatype}")
    count = 1
    for n in shape:
        count *= n
    if len(values) != count:
        raise RequestError(400, "input", f"{name}: expected {count} values for the shape {shape}, got {len(values)}")
    return values, shape, binary


def _flat(data: Any, name: str) -> list[Any]:
    if not isinstance(data, list):
        raise RequestError(400, "input", f"{name}: expected data, a list of values")
    for _ in range(4):
        if not data or not isinstance(data[0], list):
            return list(data)
        if not all(isinstance(part, list) for part in data):
            break
        data = [value for part in data for value in part]
    raise RequestError(400, "input", f"{name}: its data is nested unevenly")


def _is_whole(name: str, shape: list[int], signature: Signature) -> bool:
    """Whether the tensor holds all inputs side by side."""
    inputs = signature.inputs
    return len(shape) == 2 and shape[1] == len(inputs) and (len(inputs) > 1 or name != inputs[0].name)


def _split(values: Any, width: int, signature: Signature) -> dict[str, Any]:
    words = [f.name for f in signature.inputs if f.type == "string"]
    if words and isinstance(values, np.ndarray):
        raise RequestError(400, "input", f"{words[0]} is a word: send one tensor per input")
    return {f.name: values[place::width] for place, f in enumerate(signature.inputs)}


def _wanted(found: Mapping[str, Any], signature: Signature) -> dict[str, bool]:
    """Which outputs to send, and whether as binary data."""
    parameters = found.get("parameters") or {}
    usual = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    names = {f.name for f in signature.outputs}
    asked_for = found.get("outputs")
    if not isinstance(asked_for, list) or not asked_for:
        return dict.fromkeys(names, usual)
    wanted: dict[str, bool] = {}
    for output in asked_for:
        name = output.get("name") if isinstance(output, dict) else None
        if name not in names:
            raise RequestError(400, "input", f"the model has no output {str(name)[:60]!r}: {', '.join(sorted(names))}")
        own = (output.get("parameters") or {}).get("binary_data", usual)
        wanted[str(name)] = own is True
    return wanted
