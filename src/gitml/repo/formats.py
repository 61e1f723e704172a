"""Is a model file what it is called? Told from its frame alone: nothing in it is loaded or run."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gitml.errors import IntegrityError

_HEADER_LIMIT = 100 * 10**6  # of safetensors itself
_PICKLE = tuple(b"\x80" + bytes([version]) for version in range(2, 6))
# Fields of ONNX's ModelProto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3): number → wire type.
_ONNX = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_ONNX_GRAPH, _ONNX_IR_VERSION = 7, 1
_LARGEST_TEXT = 1_000_000
_SUFFIXES = {".skops": "skops", ".safetensors": "safetensors", ".onnx": "onnx"}


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
    _check_file(path, wanted, name)


def _files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(base, name) for name in sorted(names))


def _check_member(path: Path, wanted: str, name: str) -> str | None:
    if wanted == "pickle":
        return "pickle" if _looks_pickled(path) else None
    if _looks_pickled(path):
        raise _refused(name, "is a pickle, which runs code when it is loaded")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind:
        _check_file(path, kind, name)
    return kind


def _check_file(path: Path, wanted: str, name: str) -> None:
    if wanted != "pickle" and _looks_pickled(path):
        raise _refused(name, f"is a pickle and not {wanted}: it would run code when it is loaded")
    if wanted == "pickle":
        if path.stat().st_size == 0:
            raise _refused(name, "is empty")
        return
    why = _READERS[wanted](path)
    if why:
        raise _refused(name, f"is not {wanted}: {why}")


def _refused(name: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"{name} {why}", "it was not loaded; ask its maker for a clean file, or see `format` in gitml.yaml"
    )


def _looks_pickled(path: Path) -> bool:
    """A pickle of protocol 2 to 5, or the zip file with one that ``torch.save`` writes."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] in _PICKLE:
        return True
    if not start.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(n.rsplit("/", 1)[-1].endswith((".pkl", ".pickle")) for n in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _skops(path: Path) -> str | None:
    """https://skops.readthedocs.io: a zip file whose ``schema.json`` describes the objects."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("schema.json")
            if info.file_size > _HEADER_LIMIT:
                return "its schema.json is too large"
            with archive.open(info) as stream:
                schema = json.loads(stream.read(_HEADER_LIMIT))
    except KeyError:
        return "it has no schema.json"
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError, NotImplementedError, RuntimeError) as exc:
        return f"its frame is damaged ({exc})"
    return None if isinstance(schema, dict) and "__class__" in schema else "its schema.json describes no object"


def _safetensors(path: Path) -> str | None:
    """https://github.com/huggingface/safetensors: eight bytes of length, a JSON header, the tensors end to end."""
    size = path.stat().st_size
    with path.open("rb") as stream:
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


def _onnx(path: Path) -> str | None:
    """Walks the outermost fields of the protobuf message, which must be ModelProto's and end where the file ends."""
    size, seen = path.stat().st_size, set()
    with path.open("rb") as stream:
        while stream.tell() < size:
            tag = _varint(stream)
            number, wire = (tag >> 3, tag & 7) if tag is not None else (0, 0)
            if _ONNX.get(number) != wire:
                return "its fields are not those of a model"
            value = _varint(stream)
            if value is None:
                return "it ends in the middle of a field"
            if wire == 2:
                stream.seek(value, os.SEEK_CUR)
            seen.add(number)
        if stream.tell() != size:
            return "it ends in the middle of a field"
    return None if {_ONNX_GRAPH, _ONNX_IR_VERSION} <= seen else "it has no graph"


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


def _ensemble(path: Path) -> str | None:
    """A few lines of YAML; what they say is checked by whoever reads them."""
    content = path.read_bytes() if path.stat().st_size <= _LARGEST_TEXT else b"\0"
    try:
        return None if content.decode().strip() and b"\0" not in content else "it is no text"
    except UnicodeDecodeError:
        return "it is no text"


_READERS: dict[str, Callable[[Path], str | None]] = {
    "skops": _skops,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "ensemble": _ensemble,
}
