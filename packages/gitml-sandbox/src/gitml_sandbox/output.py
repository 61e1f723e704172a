"""What the sandbox's commands print: results to stdout, the way there to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def as_json(command: F) -> F:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def examples(*lines: str) -> str:
    """An epilog that click leaves as it is."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def paint(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False, err: bool = False) -> str:
    """Colour only on a terminal; NO_COLOR and TERM=dumb are respected (https://no-color.org)."""
    stream = sys.stderr if err else sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return click.style(text, fg=colour, bold=bold or None, dim=dim or None)


def printable(text: str) -> str:
    """Control characters made visible, so that a hostile name cannot drive the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def show(text: str = "") -> None:
    """One line of the result, on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """One line about the way, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def show_json(value: Any) -> None:
    """The result for machines. NaN is not JSON and never written."""
    other = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    show(json.dumps(value, indent=2, ensure_ascii=other, allow_nan=False))


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = (), *, right: Sequence[int] = ()) -> str:
    """Rows in columns two spaces apart under a bold header; the columns in ``right`` are aligned to the right."""
    cells = [[printable(c) for c in row] for row in ([header] if header else []) + list(rows)]
    if not cells:
        return ""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join(padded).rstrip())
    return "\n".join([paint(lines[0], bold=True), *lines[1:]] if header else lines)
