"""GitHub's filter patterns for branches, tags and paths.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gitml_sandbox.forge.patterns import FOLDERS, Part, Pattern, anything, exactly, maybe, no_slash


def compiled(pattern: str) -> Pattern:
    """`*` stops at a slash, `**` does not, `?` and `+` repeat what is before them, `[a-z]` is one character,
    `\\` escapes.
    """
    pieces: list[list[Part]] = []
    at = 0
    while at < len(pattern):
        if pattern[at] in "?+" and pieces:
            pieces[-1] = _repeated(pieces[-1], pattern[at])
            at += 1
            continue
        piece, length = _piece(pattern, at)
        pieces.append(piece)
        at += length
    return Pattern(tuple(part for piece in pieces for part in piece))


def _repeated(piece: list[Part], sign: str) -> list[Part]:
    """One character becomes none or one with `?`, one or more with `+`; stars stay what they are."""
    if len(piece) > 1 or piece[0].many:
        return [Part(piece[-1].fits, many=True)] if _is_repeated(piece) else piece
    return maybe(piece) if sign == "?" else [piece[0], Part(piece[0].fits, many=True)]


def _is_repeated(piece: list[Part]) -> bool:
    return len(piece) == 2 and piece[0].skips == 1


def _piece(pattern: str, at: int) -> tuple[list[Part], int]:
    char = pattern[at]
    if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
        return FOLDERS, 3
    if pattern.startswith("**", at):
        return [Part(anything, many=True)], 2
    if char == "*":
        return [Part(no_slash, many=True)], 1
    if char == "\\" and at + 1 < len(pattern):
        return [exactly(pattern[at + 1])], 2
    if char == "[" and (end := pattern.find("]", at + 2)) > 0:
        return _class(pattern[at + 1 : end], pattern[at : end + 1]), end + 1 - at
    return [exactly(char)], 1


def _class(inner: str, original: str) -> list[Part]:
    try:
        one = re.compile("[" + re.sub(r"([\\\[^&~|])", r"\\\1", inner) + "]")
    except re.error:
        return [exactly(char) for char in original]
    return [Part(lambda char: one.match(char) is not None)]


def selected(name: str, patterns: Sequence[str]) -> bool:
    """Walk the patterns in order: a match takes the name in, a later match of a `!` pattern takes it out
    again.
    """
    return _chosen(name, _rules(patterns))


def _rules(patterns: Sequence[str]) -> list[tuple[bool, Pattern]]:
    return [(not p.startswith("!"), compiled(p.removeprefix("!"))) for p in patterns]


def _chosen(name: str, rules: Sequence[tuple[bool, Pattern]]) -> bool:
    chosen = False
    for takes_in, pattern in rules:
        if chosen is not takes_in and pattern.fullmatch(name):
            chosen = takes_in
    return chosen


def any_selected(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """True if at least one name is selected: what `paths:` asks of the changed files."""
    rules = _rules(patterns)
    return any(_chosen(n, rules) for n in names)


def any_left(names: Iterable[str], ignored: Sequence[str]) -> bool:
    """True if at least one name is not ignored: what `paths-ignore:` asks of the changed files."""
    rules = _rules(ignored)
    return any(not _chosen(n, rules) for n in names)
