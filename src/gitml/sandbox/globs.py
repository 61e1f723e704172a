"""GitHub's filter patterns for branches, tags and paths.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def to_regex(pattern: str) -> re.Pattern[str]:
    """`*` stops at a slash, `**` does not, `?` and `+` repeat what is before them, `[a-z]` is one character,
    `\\` escapes.
    """
    out: list[str] = []
    at = 0
    while at < len(pattern):
        piece, length = _piece(pattern, at)
        out.append(piece)
        at += length
    return re.compile("".join(out), re.S)


def _piece(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at]
    if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
        return "(?:.*/)?", 3
    if pattern.startswith("**", at):
        return "(?:.*)", 2
    if char == "*":
        return "(?:[^/]*)", 1
    if char in "?+":
        return (char if at else re.escape(char)), 1
    if char == "\\" and at + 1 < len(pattern):
        return re.escape(pattern[at + 1]), 2
    if char == "[" and (end := pattern.find("]", at + 2)) > 0:
        inner = re.sub(r"([\\\[^])", r"\\\1", pattern[at + 1 : end])
        return _safe_class(inner, pattern[at : end + 1]), end + 1 - at
    return re.escape(char), 1


def _safe_class(inner: str, original: str) -> str:
    try:
        re.compile(f"[{inner}]")
    except re.error:
        return re.escape(original)
    return f"[{inner}]"


def selected(name: str, patterns: Sequence[str]) -> bool:
    """Walk the patterns in order: a match takes the name in, a later match of a `!` pattern takes it out
    again.
    """
    chosen = False
    for pattern in patterns:
        negative = pattern.startswith("!")
        if to_regex(pattern[1:] if negative else pattern).fullmatch(name):
            chosen = not negative
    return chosen


def any_selected(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """True if at least one name is selected: what `paths:` asks of the changed files."""
    return any(selected(n, patterns) for n in names)


def any_left(names: Iterable[str], ignored: Sequence[str]) -> bool:
    """True if at least one name is not ignored: what `paths-ignore:` asks of the changed files."""
    return any(not selected(n, ignored) for n in names)
