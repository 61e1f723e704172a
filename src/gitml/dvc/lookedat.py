"""The files and folders on which it depends whether stages are up to date."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gitml.dvc.stages import is_params

_DESCRIPTIONS = frozenset({"dvc.yaml", "dvc.lock", ".dvcignore", ".gitignore"})
_NOT_WALKED = frozenset({".git", ".dvc"})


class _ElsewhereError(Exception):
    """Something else than files of this repository decides."""


def looked_at(repo: Any, stages: Sequence[Any]) -> tuple[str, ...] | None:
    """Absolute paths; of a folder its entries are meant, and it may be that nothing is there.

    All that DVC reads for it: its configuration, descriptions of stages wherever they lie, what ``stages`` read and
    make, and what the cache keeps of that. None where a link, another machine or another repository decides too.
    """
    try:
        found = dict.fromkeys([*repo.config.files.values(), *_described(repo.root_dir)])
        for description in {stage.path: stage.dvcfile for stage in repo.index.stages}.values():
            found |= dict.fromkeys(_variables(description))
        for stage in stages:
            # DVC does not look at what a frozen stage reads.
            for item in (*stage.outs, *(() if stage.frozen else stage.deps)):
                found |= dict.fromkeys(_of(item, repo.root_dir))
            for out in stage.outs:
                found |= dict.fromkeys(_kept(repo.cache.local, out))
    except _ElsewhereError:
        return None
    return tuple(found)


def _described(top: str) -> Iterator[str]:
    """Every folder, as a description may appear in it, and the descriptions that are there."""
    yield os.path.join(top, ".git", "info", "exclude")
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in _NOT_WALKED]
        yield folder
        yield from (os.path.join(folder, n) for n in files if n in _DESCRIPTIONS or n.endswith(".dvc"))


def _variables(description: Any) -> Iterator[str]:
    """The files whose values stand in a dvc.yaml. A stage may have its own, which DVC tells nobody of."""
    if not hasattr(description, "resolver"):
        return
    for stage in (description.contents.get("stages") or {}).values():
        if "vars" in stage or "vars" in (stage.get("do") or ()):
            raise _ElsewhereError
    yield from map(os.path.abspath, description.resolver.context.imports)


def _of(item: Any, top: str) -> Iterable[str]:
    """A dependency or an output, with all that is in it."""
    if hasattr(item, "def_repo") or item.protocol != "local":
        raise _ElsewhereError
    path = os.path.abspath(item.fs_path)
    if os.path.realpath(path) != path or os.path.commonpath([path, top]) != top:
        raise _ElsewhereError
    return [path] if is_params(item) or not os.path.isdir(path) else _inside(path)


def _inside(path: str) -> Iterator[str]:
    for folder, folders, files in os.walk(path):
        yield folder
        for name in (*folders, *files):
            place = os.path.join(folder, name)
            if os.path.islink(place):
                raise _ElsewhereError
            if name in files:
                yield place


def _kept(cache: Any, out: Any) -> Iterator[str]:
    """What DVC keeps of an output: a stage without it is restored or runs."""
    if out.hash_info and out.hash_info.name != "md5":
        raise _ElsewhereError
    value = out.hash_info.value if out.hash_info else None
    if not value:
        return
    yield cache.oid_to_path(value)
    listing = Path(cache.oid_to_path(value))
    if value.endswith(".dir") and listing.is_file():
        yield from (cache.oid_to_path(entry["md5"]) for entry in json.loads(listing.read_bytes()))
