"""What ``alibi_detect.saving.save_detector`` wrote, looked at as data: nothing of alibi-detect is imported, and no
pickle is ever opened.

A folder of alibi-detect may hold code (``.dill``, ``.joblib``, an array that takes pickle). Which kind it is has to be
known before anything of it runs.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.errors import InconclusiveError, OutsideError, UsageError

CONFIG, X_REF = "config.toml", "x_ref.npy"
# Written before 0.10, and today for outlier detectors: the detector itself is a pickle.
_LEGACY = ("meta.dill", "meta.pickle")
_LARGEST_CONFIG = 1 << 16
LARGEST_ARRAY = 1 << 28
_MOST_FILES = 1_000
# Booleans, integers, floats, and texts of a fixed width: bytes that mean nothing but themselves.
_PLAIN = "biufU"
# The last one under Apache-2.0. Later ones must not be used in production without a licence of one's own.
APACHE = (0, 11, 4)
BSL = "Business Source License 1.1"
_SAVE = "save it with alibi_detect.saving.save_detector"


@dataclass(frozen=True)
class DetectorFolder:
    """``name`` is the class, such as KSDrift, and ``version`` the alibi-detect that saved it; both are '' where only
    a pickle knows. ``files`` are paths within the folder, ``settings`` the config without "None"."""

    path: Path
    name: str
    version: str
    settings: Mapping[str, Any]
    files: tuple[str, ...]

    @property
    def backend(self) -> str:
        """pytorch, tensorflow, keops, sklearn, or '' for those that need none of them."""
        if not self.name:  # alibi-detect itself imports TensorFlow to open one of these
            return "tensorflow"
        preprocess = self.settings.get("preprocess_fn")
        inner = [preprocess.get(key) for key in ("model", "embedding")] if isinstance(preprocess, dict) else []
        flavours = [part.get("flavour") for part in (*inner, self.settings.get("model")) if isinstance(part, dict)]
        return next((str(name) for name in (self.settings.get("backend"), *flavours) if name), "")


def look_into(path: Path) -> DetectorFolder:
    """Raises UsageError for a folder that ``save_detector`` did not write, OutsideError where it cannot be read."""
    if not path.is_dir():
        raise UsageError(f"there is no detector {path.name}", f"{_SAVE} to this folder, and commit or pull it")
    files = _files(path)
    if CONFIG in files:
        settings = _settings(path / CONFIG)
        meta = settings.pop("meta", None) or {}
        name = settings.pop("name", None)
        if not isinstance(name, str) or not isinstance(meta, dict):
            raise UsageError(f"{path.name}/{CONFIG} names no detector", _SAVE)
        return DetectorFolder(path, name, str(meta.get("version") or ""), settings, files)
    if any(name in files for name in _LEGACY):
        return DetectorFolder(path, "", "", {}, files)
    raise UsageError(f"{path.name} has no {CONFIG}: it is no detector of alibi-detect", _SAVE)


def refuse_newer(folder: DetectorFolder, *, accept_bsl: bool) -> None:
    """Raises InconclusiveError where only an alibi-detect that may not be used can load it."""
    version = tuple(int(part) for part in folder.version.split(".")[:3] if part.isdecimal())
    if version > APACHE and not accept_bsl:
        raise InconclusiveError(
            f"{folder.path.name} was saved by alibi-detect {folder.version}, which is under the {BSL}",
            "save it with 0.11.4 (Apache-2.0); or, with a licence for production, write accept_bsl: true",
        )


def _files(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            place = Path(folder, name)
            mode = place.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                inside = place.relative_to(path)
                raise UsageError(f"{path.name}/{inside} is no regular file", "put the file there, not a link to it")
            if stat.S_ISREG(mode):
                found.append(place.relative_to(path).as_posix())
        if len(found) > _MOST_FILES:
            raise UsageError(f"{path.name} holds more than {_MOST_FILES:,} files: it is no detector", _SAVE)
    return tuple(sorted(found))


def _settings(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_CONFIG + 1)
    except OSError as exc:
        raise OutsideError(f"{path.parent.name}/{CONFIG} cannot be read: {exc.strerror}") from exc
    if len(raw) > _LARGEST_CONFIG:
        raise UsageError(f"{path.parent.name}/{CONFIG} is larger than {_LARGEST_CONFIG:,} bytes", _SAVE)
    try:
        return dict(_with_none(tomllib.loads(raw.decode())))
    except (ValueError, RecursionError) as exc:  # what is wrong with TOML or its encoding
        raise UsageError(f"{path.parent.name}/{CONFIG} is no TOML: {exc}", _SAVE) from exc


def _with_none(value: Any) -> Any:
    """TOML has no null; alibi-detect writes the word."""
    if isinstance(value, dict):
        return {key: _with_none(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_none(inner) for inner in value]
    return None if value == "None" else value


def read_array(path: Path) -> NDArray[Any]:
    """An array of numbers or texts, rows first, never by pickle.

    Raises UsageError for anything else, InconclusiveError where it is too large to be read here.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        with path.open("rb") as stream:
            shape, dtype = _header(stream, name)
            rows = shape[0] if shape else 0
            wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if wanted > LARGEST_ARRAY:
                raise InconclusiveError(
                    f"{name} has {wanted / 1e6:,.0f} MB: more than {LARGEST_ARRAY >> 20} MiB are not read",
                    "save the detector with fewer reference rows; 20,000 are enough",
                )
            if rows < 1 or 0 in shape or os.fstat(stream.fileno()).st_size - stream.tell() != wanted:
                raise UsageError(f"{name} is torn, or has no rows and columns", _SAVE)
            stream.seek(0)
            found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except OSError as exc:
        raise OutsideError(f"{name} cannot be read: {exc.strerror or exc}") from exc
    return found.reshape(rows, -1)


def _header(stream: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        major = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if major == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, TokenError) as exc:
        raise UsageError(f"{name} is no array: {exc}", _SAVE) from exc
    if dtype.kind not in _PLAIN or dtype.fields or dtype.subdtype or not dtype.itemsize:
        raise UsageError(f"{name} holds Python objects, not numbers or texts", "convert x_ref before it is saved")
    if any(size < 0 for size in shape):
        raise UsageError(f"{name} is no array: its shape is {shape}", _SAVE)
    return shape, dtype
