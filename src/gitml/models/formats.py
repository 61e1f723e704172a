"""Is a model file what it is called? Told from its frame alone: nothing in it is loaded or run."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gitml.errors import IntegrityError
from gitml.spec.application import SUFFIXES

_HEADER_LIMIT = 100 * 10**6  # of safetensors itself
_PICKLE = tuple(b"\x80" + bytes([version]) for version in range(2, 6))
_PICKLED_NAMES = tuple(suffix for suffix, kind in SUFFIXES.items() if kind == "pickle")
# Unpacked, a zip file may be much larger than it is; beyond this factor or size it is a bomb, not a model.
_LARGEST_FACTOR, _LARGEST_UNPACKED = 200, 8 << 30
# Fields of ONNX's ModelProto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3): number → wire type.
_ONNX = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_ONNX_GRAPH, _ONNX_IR_VERSION = 7, 1
_LARGEST_TEXT = 1_000_000


def check_format(path: Path, wanted: str, name: str) -> None:
    """Raise IntegrityError unless ``path`` is stored as ``wanted`` (skops, safetensors, onnx, ensemble or pickle).

    Of a folder every file counts: each with a suffix of a format is of that format, none is a pickle (unless pickles
    are wanted), at least one is of the wanted format. ``name`` stands for the path in errors.
    """
    if path.is_dir():
        kinds = [_check_member(file, wanted, f"{name}/{file.relative_to(path)}") for file in _files(path)]
        if wanted not in kinds:
            raise _refused(name, f"holds no file of the format {wanted}")
        return
    with path.open("rb") as stream:
        _check(stream, wanted, name)


def check_content(content: bytes, wanted: str, name: str) -> None:
    """The same for the bytes of a file, which nobody can change between this and their use."""
    _check(io.BytesIO(content), wanted, name)


def _files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(base, name) for name in sorted(names))


def _check_member(path: Path, wanted: str, name: str) -> str | None:
    kind = SUFFIXES.get(path.suffix.lower())
    with path.open("rb") as stream:
        if wanted == "pickle":
            return "pickle" if _looks_pickled(stream) else None
        if kind in _READERS:
            _check(stream, kind, name)
        elif _looks_pickled(stream):
            raise _refused(name, "is a pickle, which runs code when it is loaded")
    return kind


def _check(stream: BinaryIO, wanted: str, name: str) -> None:
    if wanted == "pickle":
        if not stream.read(1):
            raise _refused(name, "is empty")
        return
    # Soundness first: a sound safetensors file may begin with any two bytes, those of a pickle among them.
    why = _READERS[wanted](stream)
    if why and _looks_pickled(stream):
        raise _refused(name, f"is a pickle and not {wanted}: it would run code when it is loaded")
    if why:
        raise _refused(name, f"is not {wanted}: {why}")


def _refused(name: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"{name} {why}", "it was not loaded; ask its maker for a clean file, or see `format` in gitml.yaml"
    )


def _looks_pickled(stream: BinaryIO) -> bool:
    """A pickle of protocol 2 to 5, or the zip file with one that ``torch.save`` writes."""
    stream.seek(0)
    start = stream.read(4)
    if start.startswith(_PICKLE):
        return True
    if not start.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(stream) as archive:
            return any(_is_pickled_name(name) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
        return False


def _is_pickled_name(name: str) -> bool:
    return name.lower().endswith(_PICKLED_NAMES)


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _skops(stream: BinaryIO) -> str | None:
    """https://skops.readthedocs.io: a zip file whose ``schema.json`` describes the objects."""
    size = _size(stream)
    # A zip file is read from its end, so anything may stand before it, a pickle too: one file, two meanings.
    start = stream.read(4)
    if start and start != b"PK\x03\x04":
        return "it does not begin like a zip file"
    try:
        with zipfile.ZipFile(stream) as archive:
            why = _archive(archive, size)
            if why:
                return why
            with archive.open("schema.json") as inner:
                schema = json.loads(inner.read(_HEADER_LIMIT))
    except (
        zipfile.BadZipFile, OSError, ValueError, EOFError, RecursionError, NotImplementedError, RuntimeError,
        struct.error, zlib.error,
    ) as exc:  # fmt: skip
        return f"its frame is cut off or damaged ({exc})"
    return None if isinstance(schema, dict) and "__class__" in schema else "its schema.json describes no object"


def _archive(archive: zipfile.ZipFile, size: int) -> str:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        return "it holds a name twice"
    pickled = next((name for name in names if _is_pickled_name(name)), None)
    if pickled:
        return f"it holds a pickle, {pickled}"
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > min(_LARGEST_UNPACKED, _LARGEST_FACTOR * size):
        return f"{size:,} bytes would unpack to {unpacked:,}"
    schema = next((entry for entry in entries if entry.filename == "schema.json"), None)
    if schema is None:
        return "it has no schema.json"
    return "its schema.json is too large" if schema.file_size > _HEADER_LIMIT else ""


def _safetensors(stream: BinaryIO) -> str | None:
    """https://github.com/huggingface/safetensors: eight bytes of length, a JSON header, the tensors end to end."""
    size = _size(stream)
    start = stream.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
        return "it has no header"
    raw = stream.read(length)
    try:
        header = json.loads(raw)
        spans = sorted(_span(entry) for key, entry in header.items() if key != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "its header describes no tensors"
    return _gapless(spans, size - 8 - length)


def _span(entry: dict[str, Any]) -> tuple[int, int]:
    begin, end = entry["data_offsets"]
    whole = all(isinstance(n, int) and n >= 0 for n in (begin, end, *entry["shape"]))
    if not whole or not isinstance(entry["dtype"], str):
        raise ValueError("no tensor")
    return begin, end


def _gapless(spans: list[tuple[int, int]], size: int) -> str | None:
    """The format allows no holes: nothing hides between the tensors."""
    at = 0
    for begin, end in spans:
        if begin != at or end < begin:
            return "its tensors overlap or leave holes"
        at = end
    return None if at == size else "its tensors do not fill the file"


def _onnx(stream: BinaryIO) -> str | None:
    """Walks the outermost fields of the protobuf message, which must be ModelProto's and end where the file ends.

    Where the package ``onnx`` is there its parser looks through the rest as well; nothing is loaded without it.
    """
    size, seen, at = _size(stream), set[int](), 0
    while at < size:
        tag = _varint(stream)
        number, wire = (tag >> 3, tag & 7) if tag is not None else (0, 0)
        if _ONNX.get(number) != wire:
            return "its fields are not those of a model"
        value = _varint(stream)
        at = stream.tell() + (value if wire == 2 and value is not None else 0)
        if value is None or at > size:
            return "it ends in the middle of a field"
        stream.seek(at)
        seen.add(number)
    if not {_ONNX_GRAPH, _ONNX_IR_VERSION} <= seen:
        return "it has no graph"
    try:
        from gitml.models.onnxfile import why_not
    except ImportError:
        return None
    stream.seek(0)
    return why_not(stream.read()) or None


def _varint(stream: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None


def _ensemble(stream: BinaryIO) -> str | None:
    """A few lines of YAML; what they say is checked by whoever reads them."""
    content = stream.read() if _size(stream) <= _LARGEST_TEXT else b"\0"
    try:
        return None if content.decode().strip() and b"\0" not in content else "it is no text"
    except UnicodeDecodeError:
        return "it is no text"


_READERS: dict[str, Callable[[BinaryIO], str | None]] = {
    "skops": _skops,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "ensemble": _ensemble,
}
