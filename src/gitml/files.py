"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def shipped(name: str) -> Path:
    """A file or folder of gitml's source tree that the wheel carries too (``force-include`` in pyproject.toml)."""
    package = Path(__file__).parent
    packaged = package / "_templates"
    return (packaged if packaged.is_dir() else package.parent.parent) / name


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A temporary name in the target's folder, flushed to disk and moved to ``target`` at the end."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb") as stream:
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def write_file(target: Path, content: bytes) -> None:
    """Replace ``target`` by ``content``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _beside(target) as path:
        path.write_bytes(content)


def create_file(target: Path, content: bytes) -> None:
    """Write ``target``. Raises FileExistsError if it is there, whatever it holds, also when two try at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.link(name, target)
    finally:
        os.unlink(name)


def copy_file(source: Path, target: Path) -> None:
    """Replace ``target`` by a copy of ``source``'s bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _beside(target) as path:
        shutil.copyfile(source, path)
