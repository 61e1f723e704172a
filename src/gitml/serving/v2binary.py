"""Tensors as bytes, little-endian, as Triton's extension `binary_tensor_data` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gitml.serving.wire import RequestError

_TYPES: dict[str, Any] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}


def from_bytes(data: memoryview, datatype: str, name: str) -> Any:
    """Values of a tensor: an array of numbers, or a list of words. Raises HttpError 400."""
    if datatype == "BYTES":
        return _words(data, name)
    kind = _TYPES[datatype]
    if len(data) % kind.itemsize:
        raise RequestError(400, "input", f"{name}: {len(data)} bytes are no whole number of {datatype}")
    found = np.frombuffer(data, kind)
    return found.tolist() if datatype == "BOOL" else found


def to_bytes(values: Any, datatype: str) -> bytes:
    """The bytes of a column of answers."""
    if datatype != "BYTES":
        return bytes(np.ascontiguousarray(values.astype(_TYPES[datatype])).tobytes())
    words = [str(v).encode() for v in values.tolist()]
    return b"".join(len(w).to_bytes(4, "little") + w for w in words)


def out_of_range(datatype: str, values: Sequence[Any]) -> Any:
    """The first number of a JSON tensor that its datatype does not hold, or None. Other kinds are the signature's."""
    kind = _TYPES.get(datatype)
    if kind is None or kind.kind == "b":
        return None
    low, high = _bounds(kind)
    whole = kind.kind in "iu"
    for value in values:
        if type(value) not in (int, float):
            continue
        if not low <= value <= high or (whole and value != int(value)):
            return value
    return None


def holds(datatype: str, values: Any) -> bool:
    """Whether each answer is a value of the datatype: a cast would wrap around or become infinite."""
    kind = _TYPES.get(datatype)
    if kind is None or kind.kind == "b" or values.dtype == kind or values.dtype.kind not in "iuf":
        return True
    low, high = _bounds(kind)
    return bool(((values >= low) & (values <= high)).all())


def _bounds(kind: Any) -> tuple[float, float]:
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    return (float if kind.kind == "f" else int)(info.min), (float if kind.kind == "f" else int)(info.max)


def _words(data: memoryview, name: str) -> list[str]:
    found, place = [], 0
    while place < len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "little")
        if end > len(data):
            raise RequestError(400, "input", f"{name}: a word is longer than the tensor")
        try:
            found.append(bytes(data[place + 4 : end]).decode())
        except UnicodeDecodeError:
            raise RequestError(400, "input", f"{name}: a word is no UTF-8") from None
        place = end
    return found
