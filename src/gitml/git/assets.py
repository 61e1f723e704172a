"""Pictures of reports on a branch of their own: content-addressed, so that the same picture is there once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitml.errors import IntegrityError
from gitml.git.orphan import Addition, Remote, add

__all__ = ["BRANCH", "MAX_PICTURE", "Remote", "address_of", "picture_files", "push_pictures"]

BRANCH = "gitml-assets"
MAX_PICTURE = 5_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def address_of(name: str, content: bytes) -> str:
    """The picture's path on the branch: what it holds decides, so the same picture is there once.

    Raises IntegrityError for what is no PNG, is too large, or has a name that a path may not have.
    """
    if not content.startswith(_PNG):
        raise IntegrityError(f"{name[:100]!r} is no PNG picture")
    if len(content) > MAX_PICTURE:
        raise IntegrityError(f"{name[:100]!r} is larger than {MAX_PICTURE:,} bytes")
    if not _NAME.fullmatch(name):
        raise IntegrityError(f"{name[:100]!r} is no name for a picture")
    return f"{hashlib.sha256(content).hexdigest()[:20]}/{name}"


def push_pictures(remote: Remote, pictures: Mapping[str, bytes], *, message: str = "Pictures of a report") -> str:
    """Bring pictures, by ``address_of``, to the branch and return its commit; those that are there add nothing."""
    return add(remote, Addition(BRANCH, pictures, message))


def picture_files(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The pictures below ``folder`` by their names there; links and what leads out of the folder are refused."""
    found = {}
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"{name[:100]!r} is a link")
        if path.is_file():
            with path.open("rb") as stream:
                found[name] = stream.read(MAX_PICTURE + 1)
    return found
