"""The ``console`` blocks of a page: its commands, and whether what they print is what the page shows.

Digests, times and durations stand for any other; a decimal number for one close to it; a run of spaces for any other;
``...`` for anything. All else is literal.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_BLOCK = re.compile(r"(?:<!-- not executed: (?P<why>[^\n]+?) -->\n\n?)?^```console\n(?P<body>.*?)^```$", re.M | re.S)
_START = re.compile(r"^<!-- starts in: (?P<place>.+?) -->$", re.M)
_TOKENS = re.compile(
    r"(?P<any>\.\.\.)"
    r"|(?P<version>\d{8}T\d{6}Z-[0-9a-f]{8})"
    r"|(?P<time>\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?)"
    r"|(?P<duration>\d+ min \d+ s|\d+(?:\.\d+)? m?s)\b"
    r"|(?P<digest>\b(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b)"
    r"|(?P<number>[-+]?\d+\.\d+)"
    r"|(?P<gap> *\n| {2,})"
)
_STANDS_FOR = {
    "any": r".*?",
    "version": r"\d{8}T\d{6}Z-[0-9a-f]{8}",
    "time": r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?",
    "duration": r"(?:\d+ min \d+ s|\d+(?:\.\d+)? m?s)",
    "number": r"([-+]?\d+(?:\.\d+)?)",
}
# `  train …` is what a terminal repaints while the stage runs; afterwards nobody sees it.
_REPAINTED = re.compile(r"^  \S+ …\n", re.M)


@dataclass(frozen=True)
class Example:
    """One command and what the page shows of its output; ``line`` in the page."""

    line: int
    command: str
    shown: str

    @property
    def fails(self) -> bool:
        """Whether the page shows an error, so that the exit code must say so too."""
        return re.search(r"^error: ", self.shown, re.M) is not None


@dataclass(frozen=True)
class Page:
    """``skipped`` holds the reasons of the blocks that are not executed."""

    place: str
    examples: tuple[Example, ...]
    skipped: tuple[str, ...]


def read(text: str) -> Page:
    """All examples of a page, in order."""
    start = _START.search(text)
    examples: list[Example] = []
    skipped: list[str] = []
    for block in _BLOCK.finditer(text):
        if block["why"]:
            skipped.append(block["why"])
        else:
            examples += _commands(block["body"], text.count("\n", 0, block.start("body")) + 1)
    return Page(start["place"] if start else "", tuple(examples), tuple(skipped))


def _commands(body: str, line: int) -> list[Example]:
    found: list[tuple[int, list[str], list[str]]] = []
    for number, text in enumerate(body.splitlines(), line):
        if text.startswith("$ "):
            found.append((number, [text[2:]], []))
        elif not found:
            raise ValueError(f"line {number}: a console block begins with a command, `$ …`")
        elif text.startswith("> ") and not found[-1][2]:
            found[-1][1].append(text[2:])
        else:
            found[-1][2].append(text)
    return [Example(number, "\n".join(command), "\n".join(shown)) for number, command, shown in found]


def agrees(shown: str, printed: str) -> bool:
    """Whether ``printed`` is what the page shows.

    >>> agrees("m@0a5010ee  auc 0.9987  3.8 s", "m@deadbee0   auc 0.9981  12.0 s")
    True
    >>> agrees("auc 0.9987", "auc 0.7"), agrees("3 stages", "4 stages")
    (False, False)
    """
    pattern, numbers = _pattern(shown.strip("\n"))
    found = re.fullmatch(pattern, _REPAINTED.sub("", printed).strip("\n"), re.S)
    if not found:
        return False
    return all(_close(number, float(other)) for number, other in zip(numbers, found.groups(), strict=True))


def _close(a: float, b: float) -> bool:
    """The same to a reader: other processors round sums of floats in another way."""
    return math.isclose(a, b, rel_tol=0.1, abs_tol=0.005)


def _pattern(shown: str) -> tuple[str, list[float]]:
    parts: list[str] = []
    numbers: list[float] = []
    end = 0
    for token in _TOKENS.finditer(shown):
        parts.append(re.escape(shown[end : token.start()]))
        kind = token.lastgroup or ""
        if kind == "number":
            numbers.append(float(token[0]))
        if kind == "gap":
            parts.append(r"\s*?\n" if token[0].endswith("\n") else " +")
        elif kind == "digest":
            parts.append(f"[0-9a-f]{{{len(token[0])}}}")
        else:
            parts.append(_STANDS_FOR[kind])
        end = token.end()
    return "".join([*parts, re.escape(shown[end:]), r"\s*"]), numbers
