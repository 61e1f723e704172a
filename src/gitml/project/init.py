"""``gitml init``: an application to start from, in an empty folder or an existing repository."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitml import clock
from gitml.dvc.safety import refuse_symlinks
from gitml.errors import OutsideError, UsageError
from gitml.git.runner import git
from gitml.project.adopt import adoptable, adopted
from gitml.project.templates import IGNORED, template


class FileStatus(StrEnum):
    CREATED = "created"
    EXTENDED = "extended"
    KEPT = "kept"
    DIFFERS = "would change"


@dataclass(frozen=True)
class Placed:
    """One file; ``diff`` says how yours would have to change where it differs."""

    path: str
    status: FileStatus
    diff: str = ""


@dataclass(frozen=True)
class Started:
    """``new_git``: there was no Git repository around ``root``, now there is."""

    root: Path
    files: tuple[Placed, ...]
    new_git: bool


def init(target: Path, example: str | None) -> Started:
    """Write what is missing: the example, or a small application, or one for the pipeline of DVC that is there.

    Whatever is there stays as it is; if anything fails, nothing was written.
    """
    root = _resolved(target)
    wanted = template(example or "starter")
    if example is None and adoptable(root):
        kept = {path: raw for path, raw in wanted.items() if path.startswith((".dvc", "schemas/"))}
        wanted = {**kept, **adopted(root)}
    if (root / ".dvc" / "config").is_file():
        wanted = {path: raw for path, raw in wanted.items() if not path.startswith(".dvc")}
    _refuse_what_is_in_the_way(root, [*wanted, *IGNORED])
    ignored = [_ignored(root, name, lines) for name, lines in IGNORED.items()]
    placed = [_judge(root, path, raw) for path, raw in sorted(wanted.items())]
    new = {p.path: wanted[p.path] for p in placed if p.status is FileStatus.CREATED}
    new_git = not any((folder / ".git").exists() for folder in (root, *root.parents))
    try:
        with ExitStack() as undo:
            _write(root, new, ignored, undo, new_git=new_git)
            undo.pop_all()
    except OSError as exc:
        said = f"{exc.filename or root}: {exc.strerror}"
        raise OutsideError(f"cannot write here: {said}", "nothing was written; mend this and try again") from exc
    return Started(root, tuple(sorted([*placed, *(file.placed for file in ignored)], key=lambda p: p.path)), new_git)


def _resolved(target: Path) -> Path:
    root = target.resolve()
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is a file", "gitml init takes the folder to start in")
    if ".git" in root.parts:
        raise UsageError(f"{root} lies inside Git's own folder", "choose another folder")
    return root


def _refuse_what_is_in_the_way(root: Path, paths: list[str]) -> None:
    for path in paths:
        refuse_symlinks(root, path)
        if (root / path).is_dir():
            raise UsageError(f"{path} is a folder, a file of that name is needed", "move it away")
        for folder in (root / path).relative_to(root).parents:
            if (root / folder).exists() and not (root / folder).is_dir():
                raise UsageError(f"{folder} is a file, a folder of that name is needed", "move it away")


def _judge(root: Path, path: str, wanted: bytes) -> Placed:
    try:
        have = (root / path).read_bytes()
    except FileNotFoundError:
        return Placed(path, FileStatus.CREATED)
    except OSError as exc:
        raise OutsideError(f"{path} cannot be read: {exc.strerror}") from exc
    if have == wanted:
        return Placed(path, FileStatus.KEPT)
    return Placed(path, FileStatus.DIFFERS, _diff(path, have, wanted))


def _diff(path: str, have: bytes, wanted: bytes) -> str:
    old, new = (raw.decode(errors="replace").splitlines() for raw in (have, wanted))
    return "\n".join(difflib.unified_diff(old, new, f"yours/{path}", f"gitml/{path}", lineterm=""))


@dataclass(frozen=True)
class _Ignored:
    """What a file of patterns is to hold, None if it holds it."""

    placed: Placed
    content: bytes | None


def _ignored(root: Path, name: str, wanted: Sequence[str]) -> _Ignored:
    """Lines are only ever added to such files: that takes nothing from anybody."""
    path = root / name
    before = path.read_bytes() if path.exists() else None
    lines = (before or b"").decode(errors="surrogateescape").splitlines()
    missing = [line for line in wanted if not {line, line.rstrip("/"), "/" + line} & set(map(str.strip, lines))]
    if not missing:
        return _Ignored(Placed(name, FileStatus.KEPT), None)
    gap = b"" if not before or before.endswith(b"\n") else b"\n"
    content = (before or b"") + gap + "".join(f"{line}\n" for line in missing).encode()
    return _Ignored(Placed(name, FileStatus.CREATED if before is None else FileStatus.EXTENDED), content)


def _write(
    root: Path, files: Mapping[str, bytes], ignored: Sequence[_Ignored], undo: ExitStack, *, new_git: bool
) -> None:
    """All into a scratch folder first, where a full disk shows; then each file is linked to its place."""
    _make_folder(root, undo)
    extended = {file.placed.path: file.content for file in ignored if file.content is not None}
    if not files and not extended and not new_git:
        return
    for left in root.glob(".gitml-init-*"):  # by one that was killed
        if left.is_dir() and left.stat().st_mtime < clock.machine() - 3600:
            shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".gitml-init-", dir=root))
    try:
        for path, content in {**files, **extended}.items():
            _stage(scratch / path, content)
        if new_git:
            undo.callback(shutil.rmtree, root / ".git", ignore_errors=True)
            git(root, "init", "-q", "-b", "main")
        for path in files:
            _make_folder((root / path).parent, undo)
            _link(scratch / path, root / path)
            undo.callback((root / path).unlink, missing_ok=True)
        for path in extended:
            os.replace(scratch / path, root / path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _stage(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _link(staged: Path, target: Path) -> None:
    """Raises FileExistsError when somebody else wrote ``target`` meanwhile, also where there are no hard links."""
    try:
        os.link(staged, target)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV):
            raise
        with target.open("xb") as stream:
            stream.write(staged.read_bytes())


def _make_folder(folder: Path, undo: ExitStack) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir()
        undo.callback(_remove_if_empty, place)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
