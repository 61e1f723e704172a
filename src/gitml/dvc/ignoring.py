"""DVC without what tools leave beside code."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

from dvc.ignore import DvcIgnoreFilter
from dvc.repo import Repo

from gitml.spec.leftovers import FOLDERS, is_left


class SourceRepo(Repo):  # type: ignore[misc]  # DVC has no types
    """DVC's ``Repo``, for which folders that no stage makes are without what tools leave there."""

    _outputs: frozenset[str] | None = None

    @cached_property
    def index(self) -> Any:
        found = super().index
        self._outputs = frozenset(str(out.fs_path) for stage in found.stages for out in stage.outs)
        return found

    @cached_property
    def dvcignore(self) -> DvcIgnoreFilter:
        # DVC forgets its index, and with it the outputs, while it looks for what a stage reads.
        return _Filter(self.fs, self.root_dir, lambda: self._outputs)


class _Filter(DvcIgnoreFilter):  # type: ignore[misc]
    def __init__(self, fs: Any, root: str, made: Callable[[], frozenset[str] | None]) -> None:
        super().__init__(fs, root)
        self._made = made

    def __call__(
        self, root: str, dirs: list[str], files: list[str], ignore_subrepos: bool = True
    ) -> tuple[list[str], list[str]]:
        dirs, files = super().__call__(root, dirs, files, ignore_subrepos)
        left = [name for name in dirs if name in FOLDERS], [name for name in files if is_left(name)]
        if not any(left) or self._is_made(root):
            return dirs, files
        return [name for name in dirs if name not in left[0]], [name for name in files if name not in left[1]]

    def _is_made(self, folder: str) -> bool:
        """What a stage makes, or `dvc add` took in, is kept as it is."""
        made, place = self._made(), os.path.abspath(folder)
        return made is None or any(place == out or place.startswith(f"{out}{os.sep}") for out in made)
