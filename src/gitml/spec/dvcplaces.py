"""Where an application's stages stand: its dvc.yaml, and those in the folders below."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

DVC_FILE, IGNORE_FILE = "dvc.yaml", ".dvcignore"
# Nobody keeps a pipeline there, and some of them hold very many folders.
_SKIPPED = frozenset({"node_modules", "__pycache__"})
_OWN = frozenset({".git", ".dvc", ".hg"})


def pipeline_files(root: Path) -> tuple[str, ...]:
    """Each dvc.yaml that DVC reads at ``root``, the root's own first.

    Not those that .dvcignore leaves out, in folders of data that `dvc add` took in, and in DVC repositories below.
    """
    return tuple(sorted(_below(root, "", ()), key=lambda file: (file.count("/"), file)))


def _below(root: Path, folder: str, ignored: tuple[tuple[str, GitIgnoreSpec], ...]) -> Iterator[str]:
    try:
        entries = {entry.name: entry for entry in os.scandir(root / folder)}
    except OSError:
        return
    if IGNORE_FILE in entries:
        lines = (root / folder / IGNORE_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
        ignored = (*ignored, (folder, GitIgnoreSpec.from_lines(lines)))
    if DVC_FILE in entries and not entries[DVC_FILE].is_dir() and not _is_ignored(f"{folder}{DVC_FILE}", ignored):
        yield f"{folder}{DVC_FILE}"
    for name, entry in entries.items():
        if (
            name.startswith(".")
            or name in _SKIPPED
            or f"{name}.dvc" in entries
            or not entry.is_dir(follow_symlinks=False)
        ):
            continue
        below = f"{folder}{name}/"
        if not os.path.isdir(root / below / ".dvc") and not _is_ignored(below, ignored):
            yield from _below(root, below, ignored)


def is_ignored(root: Path, path: str) -> bool:
    """Whether a .dvcignore at ``root`` or on the way to ``path`` names the file, or it is Git's or DVC's own."""
    folders = ["", *(f"{part}/" for part in itertools.accumulate(path.split("/")[:-1], "{}/{}".format))]
    found = []
    for folder in folders:
        file = root / folder / IGNORE_FILE
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            found.append((folder, GitIgnoreSpec.from_lines(lines)))
    return bool(_OWN & set(path.split("/"))) or _is_ignored(path, tuple(found))


def _is_ignored(path: str, ignored: tuple[tuple[str, GitIgnoreSpec], ...]) -> bool:
    return any(spec.match_file(path.removeprefix(folder)) for folder, spec in ignored)
