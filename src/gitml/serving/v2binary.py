"""Tensors as bytes, little-endian, as Triton's extension `binary_tensor_data` writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gitml.serving.wire import HttpError

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
        raise HttpError(400, "input", f"{name}: {len(data)} bytes are no whole number of {datatype}")
    found = np.frombuffer(data, kind)
    return found.tolist() if datatype == "BOOL" else found


def to_bytes(values: Any, datatype: str) -> bytes:
    """The bytes of a column of answers."""
    if datatype != "BYTES":
        return bytes(np.ascontiguousarray(values.astype(_TYPES[datatype])).tobytes())
    words = [str(v).encode() for v in values.tolist()]
    return b"".join(len(w).to_bytes(4, "little") + w for w in words)


def _words(data: memoryview, name: str) -> list[str]:
    found, place = [], 0
    while place < len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "little")
        if end > len(data):
            raise HttpError(400, "input", f"{name}: a word is longer than the tensor")
        try:
            found.append(bytes(data[place + 4 : end]).decode())
        except UnicodeDecodeError:
            raise HttpError(400, "input", f"{name}: a word is no UTF-8") from None
        place = end
    return found
