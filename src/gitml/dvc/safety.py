"""Nothing that a repository or a remote says may write outside its folder.

DVC joins the names of a ``.dir`` listing to the output's path and follows symlinks on the way (dvc#11101), so both
are checked here before DVC writes anything.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path, PurePosixPath
from typing import Any

from gitml.errors import IntegrityError

_MD5 = re.compile(r"[0-9a-f]{32}")


def check_listing(raw: bytes, path: str) -> tuple[str, ...]:
    """The names in a ``.dir`` listing of the output ``path``, or IntegrityError that names the bad one."""
    try:
        entries = json.loads(raw)
    except ValueError as exc:
        raise IntegrityError(f"the listing of {path} is not JSON", "restore it from a clean remote") from exc
    if not isinstance(entries, list):
        raise IntegrityError(f"the listing of {path} is no list", "restore it from a clean remote")
    names = tuple(_checked_name(entry, path) for entry in entries)
    _refuse_overlap(names, path)
    return names


def _checked_name(entry: Any, path: str) -> str:
    name = entry.get("relpath") if isinstance(entry, dict) else None
    digest = entry.get("md5") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not isinstance(digest, str) or not _MD5.fullmatch(digest):
        raise IntegrityError(f"the listing of {path} has an entry without a name and an MD5: {str(entry)[:80]}")
    refuse_escape(name, f"the listing of {path}")
    return name


def refuse_escape(name: str, where: str) -> None:
    """Raise IntegrityError unless ``name`` stays below its folder on every system."""
    parts = name.split("/")
    bad = (
        not name
        or "\\" in name
        or "\0" in name
        or PurePosixPath(name).is_absolute()
        or re.match(r"[A-Za-z]:", name)
        or any(part in ("", ".", "..") for part in parts)
        or any(part.lower() in (".git", ".dvc") for part in parts)
    )
    if bad:
        raise IntegrityError(
            f"{where} names {name!r}, which would be written outside its folder",
            "nothing was written; find out who put it there, and restore it from a clean commit or remote",
        )


def _refuse_overlap(names: tuple[str, ...], path: str) -> None:
    """A name twice, or one that is the folder of another, lets the later write replace the earlier check."""
    seen = set(names)
    if len(seen) != len(names):
        raise IntegrityError(f"the listing of {path} names a file twice")
    for name in names:
        for parent in PurePosixPath(name).parents:
            if str(parent) in seen:
                raise IntegrityError(f"the listing of {path} has {parent} both as a file and as a folder")


def refuse_symlinks(root: Path, path: str, *, cache: Path | None = None) -> None:
    """Raise IntegrityError if ``path`` below ``root``, or a folder on the way to it, is a symlink.

    A link into DVC's own ``cache`` is how ``cache.type symlink`` works and is let pass.
    """
    current = root
    for part in PurePosixPath(path).parts:
        current = current / part
        try:
            mode = current.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISLNK(mode) and not _inside(current, cache):
            raise IntegrityError(
                f"{current.relative_to(root)} is a symlink to {current.readlink()}: writing {path} would write there",
                "nothing was written; replace the link by a real folder",
            )


def _inside(link: Path, folder: Path | None) -> bool:
    return folder is not None and link.resolve().is_relative_to(folder.resolve())
