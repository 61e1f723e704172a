"""What a pull request does below ``models/``: it promotes, it brings a version from a training, or it is refused.

Agents and gates read these files, so no change of them is nobody's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing

from gitml.errors import SpecError
from gitml.git.commands import Git
from gitml.git.filechange import FileChange, parse_change
from gitml.git.history import MOST_FILES, first_with
from gitml.git.repository import FILE, LINK, SUBMODULE, TooLargeError
from gitml.git.runner import fields
from gitml.refs import NAME, VERSION
from gitml.registry.store import record_in
from gitml.spec.load import parse_application
from gitml.spec.root import APPLICATION

DEPLOYMENT = re.compile(rf"models/(?P<model>{NAME.pattern})/(?P<environment>[^/]+)\.yaml")
_LIKE_DEPLOYMENT = re.compile(r"models/[^/]+/[^/]+\.ya?ml", re.IGNORECASE)
_RECORD = re.compile(rf"models/(?P<model>{NAME.pattern})/versions/(?P<version>{VERSION.pattern})\.json")
_VERSIONS = re.compile(r"models/[^/]+/versions(?:/(?P<name>.*))?", re.DOTALL)
_SHOWN = 5


def refusals(git: Git, rows: Sequence[FileChange], base: str, head: str) -> tuple[str, ...]:
    """Why these changes, from ``base`` to ``head``, may not be merged, for all that are no deployment files."""
    return _first([why for row in rows if (why := _why(git, row, base, head))])


def _first(whys: Sequence[str]) -> tuple[str, ...]:
    more = [f"and {len(whys) - _SHOWN} more of this kind"] if len(whys) > _SHOWN else []
    return (*whys[:_SHOWN], *more)


def _why(git: Git, row: FileChange, base: str, head: str) -> str:
    path = inside(git, row.path)
    if path == "models" and not row.is_gone:
        return f"{row.path} becomes a file: versions and deployments lie in a folder of that name"
    if not path.startswith("models/") or DEPLOYMENT.fullmatch(path):
        return ""
    if found := _VERSIONS.fullmatch(path):
        return "" if is_note(found["name"], row) else _record(git, row, base, head)
    if row.is_gone:
        return ""
    if _LIKE_DEPLOYMENT.fullmatch(path):
        return f"{row.path} looks like a deployment file, and no model has such a name: remove it, or correct the name"
    if row.new_mode in (LINK, SUBMODULE):
        return f"{row.path} becomes a link (mode {row.new_mode}): below models/ there are files alone"
    return ""


def inside(git: Git, path: str) -> str:
    """The path from the folder of gitml.yaml; empty for one outside."""
    return path.removeprefix(git.prefix) if path.startswith(git.prefix) else ""


def is_note(name: str | None, row: FileChange) -> bool:
    """Such as .gitkeep: nobody takes it for a record."""
    return bool(name) and str(name).startswith(".") and "/" not in str(name) and row.is_plain


def _record(git: Git, row: FileChange, base: str, head: str) -> str:
    first = first_with(git.root, base, row.path)
    if first is not None:
        origin = git.repository.entry(first, row.path)
        if origin is not None and (row.new, row.new_mode) == (origin.id, FILE):
            return ""  # it goes back to what it was
        what = "deletes" if row.is_gone else "edits"
        return f"{what} the record {row.path}: records are never edited; take it out: git checkout {base[:12]} -- FILE"
    named = _RECORD.fullmatch(inside(git, row.path))
    if named is None or row.new_mode != FILE:
        return f"{row.path} is no record of a version: `gitml train` or `gitml register` writes those"
    try:
        record_in(git.at(head), named["model"], named["version"])
    except SpecError as exc:
        return f"{row.path} is no record: {exc.problems[0].key} {exc.problems[0].message}"
    return "" if _declares(git, head, named["model"]) else f"{row.path}: gitml.yaml has no model {named['model']}"


def _declares(git: Git, head: str, model: str) -> bool:
    """A version may come together with its model."""
    try:
        return model in parse_application(git.at(head).read(APPLICATION) or b"").models
    except SpecError:
        return False


def stepwise(git: Git, base: str, head: str, net: Collection[str]) -> tuple[str, ...]:
    """Files that single commits change, and that the whole does not: ``net`` are the paths that the whole changes.

    A rebase puts each commit on main, where what nobody judged would stand between others, or come first.
    """
    contents: dict[str, set[str]] = {}
    for step in _steps(git, base, head):
        contents.setdefault(step.path, set()).add(step.new)
    return _first([why for path, found in contents.items() if (why := _why_step(git, path, found - {""}, net))])


def _why_step(git: Git, path: str, contents: set[str], net: Collection[str]) -> str:
    name = inside(git, path)
    squash = "make one commit of them: git reset --soft $(git merge-base HEAD origin/HEAD), git commit"
    if _RECORD.fullmatch(name) and len(contents) > 1:
        return f"its commits give the record {path} more than one content, and the first one counts; {squash}"
    if _LIKE_DEPLOYMENT.fullmatch(name) and path not in net:
        return f"its commits change {path} and change it back, which a rebase would put on main; {squash}"
    return ""


def _steps(git: Git, base: str, head: str) -> Iterator[FileChange]:
    """What each commit that is not on ``base`` does below models/. A rebase leaves merges out."""
    form = ("--no-merges", "--format=", "--raw", "-z", "--no-renames", "--no-abbrev", "--no-show-signature")
    words = ("-c", "log.showRoot=true", "log", *form, f"{base}..{head}", "--", f":(top,literal){git.prefix}models")
    with closing(fields(git.root, *words, errors="surrogateescape")) as told:
        for number, (about, path) in enumerate(zip(told, told, strict=True)):
            if number >= MOST_FILES:
                message = f"its commits touch more than {MOST_FILES:,} files below models/, which is the limit"
                raise TooLargeError(message, "make one commit of them")
            yield parse_change(about.lstrip("\n"), path)
