"""Does this Python have the packages that the lock file says the stages run with?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from gitml.errors import FailedError, Problem, SpecError
from gitml.spec.application import Application


def read_lock(root: Path, path: str) -> Iterator[Requirement]:
    """The pinned packages that apply to this Python. Raises SpecError with the lines that pin nothing."""
    yield from locked(_text(root, path), path)


def locked(content: str, path: str, python: str = "") -> Iterator[Requirement]:
    """The same of the ``content`` of a lock file; for another ``python``, such as 3.12.4, than this one."""
    asked = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])} if python else None
    problems = []
    for number, line in enumerate(content.splitlines(), 1):
        text = line.partition(" #")[0].partition("--hash")[0].strip().rstrip("\\").strip()
        if not text or text.startswith(("#", "--")):
            continue
        try:
            found = Requirement(text)
        except InvalidRequirement as exc:
            problems.append(Problem(path, number, "", f"{text!r} is no requirement: {exc}"))
            continue
        if not found.url and [s.operator for s in found.specifier] not in (["=="], ["==="]):
            problems.append(Problem(path, number, found.name, "is not pinned with ==", "lock it: `uv pip compile`"))
        elif found.marker is None or found.marker.evaluate(asked):
            yield found
    if problems:
        raise SpecError(problems)


def unpinned(root: Path, app: Application) -> list[Problem]:
    """What training would refuse in the lock files of ``app`` that are there."""
    found: list[Problem] = []
    for path in sorted({model.packages for model in app.models.values() if model.packages}):
        try:
            list(read_lock(root, path) if os.path.exists(root / path) else ())
        except SpecError as exc:
            found += exc.problems
    return found


def _text(root: Path, path: str) -> str:
    try:
        return (root / path).read_text(encoding="utf-8")
    except OSError as exc:
        raise SpecError([Problem(path, 0, "", f"cannot be read: {exc.strerror}", "lock the packages into it")]) from exc
    except UnicodeDecodeError as exc:
        raise SpecError([Problem(path, 0, "", "is not UTF-8", "save the file as UTF-8")]) from exc


def check_installed(root: Path, path: str) -> None:
    """Raise FailedError unless every locked package is installed here in its locked version.

    A record says "made with these packages"; it would lie otherwise.
    """
    wrong = []
    for wanted in read_lock(root, path):
        try:
            have = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is not installed, {path} says {wanted.specifier}")
            continue
        # A local build (2.13.0+cpu) satisfies the public version it was built from (PEP 440).
        if wanted.specifier and not wanted.specifier.contains(have, prereleases=True):
            wrong.append(f"{wanted.name} is {have}, {path} says {wanted.specifier}")
    if wrong:
        more = f"\nand {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise FailedError(
            "the installed packages are not the locked ones:\n" + "\n".join(wrong[:5]) + more,
            f"run `pip install 'gitml[serve]' -r {path}`, or lock what is installed and commit the lock file",
        )


def python_version() -> str:
    return platform.python_version()
