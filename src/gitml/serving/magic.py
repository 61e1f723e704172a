"""Is a file of the format that it claims? Judged from its bytes alone; nothing is interpreted as code."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable

from gitml.errors import IntegrityError

NO_PICKLE = (
    "save it as skops, safetensors or ONNX; an exception for pickle belongs into policy.yaml, with an owner and an end"
)
# Unpacked, a zip may be much larger than it is; beyond this factor and size it is a bomb, not a model.
LARGEST_FACTOR, LARGEST_UNPACKED = 200, 8 << 30
_PICKLE_PROTOCOLS = tuple(bytes([0x80, n]) for n in range(2, 6))
_COMPRESSED = (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x04\x22\x4d\x18")


def check(content: bytes, format: str, name: str) -> None:  # noqa: A002 - the word of gitml.yaml
    """Raises IntegrityError that says what the file is instead."""
    if format != "pickle" and looks_pickled(content):
        raise IntegrityError(f"{name} says it is {format}, but its bytes are a pickle: it was not loaded", NO_PICKLE)
    reason = _CHECKS[format](content)
    if reason:
        raise IntegrityError(f"{name} is no sound {format} file: {reason}", "train or fetch the model again")


def looks_pickled(content: bytes) -> bool:
    """Whether the first bytes are those of a pickle, or of a compressed one as joblib writes it."""
    return content.startswith((*_PICKLE_PROTOCOLS, *_COMPRESSED)) or content[:1] in (b"(", b"c", b"]", b"}")


def _skops(content: bytes) -> str:
    if not content.startswith(b"PK\x03\x04"):
        return "it does not begin like a zip archive"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as exc:
        return f"the archive is cut off or damaged ({exc})"
    names = [e.filename for e in entries]
    if "schema.json" not in names or len(set(names)) != len(names):
        return "the archive holds no schema.json, or a name twice"
    size = sum(e.file_size for e in entries)
    if size > LARGEST_UNPACKED or size > LARGEST_FACTOR * len(content):
        return f"{len(content):,} bytes would unpack to {size:,}"
    inner = next((n for n in names if n.lower().endswith((".pkl", ".pickle", ".joblib"))), None)
    return f"it holds a pickle, {inner}" if inner else ""


def _safetensors(content: bytes) -> str:
    if len(content) < 10:
        return "it is cut off"
    (length,) = struct.unpack("<Q", content[:8])
    if content[8:9] != b"{" or length > 100 << 20:
        return "it does not begin with a safetensors header"
    if 8 + length > len(content):
        return "it is cut off in its header"
    try:
        header = json.loads(content[8 : 8 + length])
        ends = [int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "its header is not readable"
    if 8 + length + max(ends, default=0) != len(content):
        return f"its header speaks of {8 + length + max(ends, default=0):,} bytes, the file has {len(content):,}"
    return ""


def _onnx(content: bytes) -> str:
    # A protobuf message whose first field is ir_version (field 1, a small number).
    if len(content) < 16 or content[0] != 0x08 or content[1] > 0x7F:
        return "it does not begin like an ONNX model"
    # key "location" of a tensor's external data: a path that the runtime would read from the server's disk.
    if b"\x0a\x08location" in content:
        return "some tensors lie in other files; save the model as one file"
    return ""


def _pickle(content: bytes) -> str:
    return "" if looks_pickled(content) else "it does not begin like a pickle"


def _ensemble(content: bytes) -> str:
    try:
        content.decode()
    except UnicodeDecodeError:
        return "it is no text"
    return "" if content.strip() and b"\0" not in content else "it is no text"


_CHECKS: dict[str, Callable[[bytes], str]] = {
    "ensemble": _ensemble,
    "skops": _skops,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "pickle": _pickle,
}
