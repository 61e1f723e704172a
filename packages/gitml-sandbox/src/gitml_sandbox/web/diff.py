"""Differences as tables of lines, cut where they are too long to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gitml_sandbox.git.reading import FileDiff
from gitml_sandbox.web.words import visible

MAX_FILE_LINES = 400
MAX_ALL_LINES = 4_000
MAX_FILES = 300
MAX_LONE_LINES = 20_000
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)")


@dataclass(frozen=True)
class Line:
    """``kind``: add, del, same or hunk; numbers count from 1, None where the side has no such line."""

    kind: str
    old: int | None
    new: int | None
    text: str
    notes: Sequence[object] = ()


@dataclass(frozen=True)
class File:
    """One file of the page; ``left_out`` lines are behind a link."""

    diff: FileDiff
    lines: tuple[Line, ...]
    left_out: int = 0
    anchor: str = ""


@dataclass(frozen=True)
class Shown:
    """A whole difference; ``files_left_out`` are not on the page at all."""

    files: tuple[File, ...]
    additions: int
    deletions: int
    total: int
    files_left_out: int = 0


@dataclass
class _Count:
    left: int = MAX_ALL_LINES
    seen: int = field(default=0)


def shown(diffs: Sequence[FileDiff], *, only: str = "") -> Shown:
    """The page's difference: all files with limits, or one file (nearly) whole."""
    chosen = [(n, d) for n, d in enumerate(diffs) if not only or d.path == only]
    count = _Count(MAX_LONE_LINES if only else MAX_ALL_LINES)
    limit = MAX_LONE_LINES if only else MAX_FILE_LINES
    files = tuple(_file(d, n, min(limit, count.left), count) for n, d in chosen[:MAX_FILES])
    added, removed = sum(d.additions for d in diffs), sum(d.deletions for d in diffs)
    return Shown(files, added, removed, len(diffs), max(len(chosen) - MAX_FILES, 0))


def _file(diff: FileDiff, number: int, limit: int, count: _Count) -> File:
    every = parse(diff.patch or "")
    count.left -= min(len(every), limit)
    return File(diff, tuple(every[:limit]), max(len(every) - limit, 0), f"file-{number + 1}")


def parse(patch: str) -> list[Line]:
    """The lines of the hunks of one file.

    >>> [(line.kind, line.old, line.new) for line in parse("@@ -1 +1 @@\\n-a\\n+b")]
    [('hunk', None, None), ('del', 1, None), ('add', None, 1)]
    """
    found: list[Line] = []
    old = new = 0
    for text in patch.split("\n") if patch else ():
        match = _HUNK.match(text)
        if match:
            old, new = int(match[1]), int(match[2])
            found.append(Line("hunk", None, None, visible(text)))
            continue
        kind = {"+": "add", "-": "del", "\\": "hunk"}.get(text[:1], "same")
        if kind == "hunk":
            found.append(Line("hunk", None, None, "No newline at the end of the file"))
            continue
        found.append(Line(kind, old if kind != "add" else None, new if kind != "del" else None, visible(text[1:])))
        old, new = old + (kind != "add"), new + (kind != "del")
    return found


def with_notes(file: File, notes: Iterable[tuple[str, int, object]]) -> tuple[File, list[object]]:
    """The file with comments at their lines ('LEFT' or 'RIGHT', number), and those whose line is not shown."""
    at: dict[tuple[str, int], list[object]] = {}
    for side, number, note in notes:
        at.setdefault((side, number), []).append(note)
    lines = []
    for line in file.lines:
        mine = (
            [*at.pop(("RIGHT", line.new or 0), []), *at.pop(("LEFT", line.old or 0), [])] if line.kind != "hunk" else []
        )
        lines.append(Line(line.kind, line.old, line.new, line.text, mine) if mine else line)
    rest = [note for group in at.values() for note in group]
    return File(file.diff, tuple(lines), file.left_out, file.anchor), rest
