"""Version records of main in an audit: each counts as it first came in, and whoever changed one later is named."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from gitml.evidence.findings import Finding, Kind
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.refs import VERSION

_RECORD = re.compile(rf"models/(?P<model>[^/]+)/versions/(?P<version>{VERSION.pattern})\.json")


def version_of(path: str, prefix: str) -> str:
    """``model/version`` of a record's path, or empty. ``prefix``: the application's folder."""
    found = _RECORD.fullmatch(path.removeprefix(prefix)) if path.startswith(prefix) else None
    return f"{found['model']}/{found['version']}" if found else ""


def touched_again(line: Sequence[Landed]) -> tuple[Landed, ...]:
    """Of the commits that touch records, oldest first, what concerns those that more than one touches."""
    counts: dict[str, int] = {}
    for landed in line:
        for touch in landed.touches:
            counts[touch.path] = counts.get(touch.path, 0) + 1
    kept = (replace(one, touches=tuple(t for t in one.touches if counts[t.path] > 1)) for one in line)
    return tuple(one for one in kept if one.touches)


def changed(line: Sequence[Landed], prefix: str, spoken_of: Collection[str]) -> Iterator[tuple[Landed, Finding]]:
    """Records that another content took the place of; and those that went, if evidence speaks of them.

    A branch that trains twice replaces its own record, and a rebase shows that on main: nobody knew the first one.
    """
    first: dict[str, FileChange] = {}
    for landed in line:
        for touch in landed.touches:
            origin = first.setdefault(touch.path, touch)
            said = _said(touch, origin, is_known=version_of(touch.path, prefix) in spoken_of)
            if said:
                yield landed, Finding(Kind.RECORD_CHANGED, touch.path, said, landed.commit)


def _said(touch: FileChange, origin: FileChange, *, is_known: bool) -> str:
    if touch.is_gone:
        return "was deleted, though evidence speaks of this version" if is_known else ""
    if (touch.new, touch.new_mode) == (origin.new, origin.new_mode):
        return ""
    return f"is not what first came in ({origin.new[:12]}): gates and agents go on with that"
