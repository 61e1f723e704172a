"""SHA-256 of files and folders: gitml's own check behind the MD5 that DVC addresses content by."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import IntegrityError


@dataclass(frozen=True)
class Fingerprint:
    """``sha256`` in hex, ``size`` in bytes. A folder's is over its sorted names and their fingerprints."""

    sha256: str
    size: int


def fingerprint(path: Path) -> Fingerprint:
    """Of a file or a whole folder. Raises FileNotFoundError; IntegrityError for devices, sockets and pipes."""
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return _of_file(path)
    if not stat.S_ISDIR(mode):
        raise IntegrityError(f"{path.name} is neither a file nor a folder")
    total, lines = 0, []
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in files:
            found = _of_file(Path(folder, name))
            relative = Path(folder, name).relative_to(path).as_posix()
            lines.append(f"{relative}\0{found.sha256}\0{found.size}\n")
            total += found.size
    return Fingerprint(hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest(), total)


def _of_file(path: Path) -> Fingerprint:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Fingerprint(digest.hexdigest(), stream.tell())


def verify(root: Path, expected: Mapping[str, Fingerprint]) -> None:
    """Raise IntegrityError naming the first path below ``root`` whose bytes are not the expected ones."""
    for path, wanted in expected.items():
        try:
            found = fingerprint(root / path)
        except FileNotFoundError as exc:
            raise IntegrityError(f"{path} is missing", f"its SHA-256 should be {wanted.sha256}") from exc
        if found != wanted:
            raise IntegrityError(
                f"{path} has SHA-256 {found.sha256} ({found.size} bytes), recorded is {wanted.sha256} ({wanted.size})",
                "it is not what was recorded: do not use it; look at the remote's history and fetch it again",
            )
