"""All that gitml prints goes through here: results to stdout, the way there to stderr."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from gitml.jsontext import plain

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def colour(stream: TextIO) -> bool:
    """Colour only on a terminal; NO_COLOR and TERM=dumb are respected (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def prepare_streams() -> None:
    """Whatever has no letter in the terminal's encoding is escaped, and closed streams swallow what is said."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, before a file of ours does
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 — open to the end
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def paint(text: str, *styles: str, stream: TextIO | None = None) -> str:
    if not styles or not colour(stream or sys.stdout):
        return text
    codes = ";".join(_STYLES[s] for s in styles)
    return f"\x1b[{codes}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Control characters made visible, so that a hostile name cannot drive the terminal."""
    if text.isprintable():
        return text
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
    show(json.dumps(plain(value), indent=2, ensure_ascii=other, allow_nan=False))


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = (), *, right: Sequence[int] = ()) -> str:
    """Rows in columns two spaces apart; the columns in ``right`` are aligned to the right.

    >>> print(table([["auc", "0.71"], ["log_loss", "12.5"]], ["metric", "value"], right=[1]))
    metric    value
    auc        0.71
    log_loss   12.5
    """
    cells = [[printable(c) for c in row] for row in ([list(header)] if header else []) + [list(r) for r in rows]]
    if not cells:
        return ""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for number, row in enumerate(cells):
        padded = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        line = "  ".join(padded).rstrip()
        lines.append(paint(line, "bold") if header and number == 0 else line)
    return "\n".join(lines)


def size(count: int) -> str:
    """Bytes for people.

    >>> size(999), size(1_234_567)
    ('999 B', '1.2 MB')
    """
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def seconds(value: float) -> str:
    """A duration for people.

    >>> seconds(0.42), seconds(75.2), seconds(7325)
    ('0.4 s', '1 min 15 s', '2 h 2 min')
    """
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Live:
    """One line on stderr that says how long something runs: repainted on a terminal, printed once elsewhere.

    Holds its own copy of stderr, because the work may redirect the process's streams meanwhile.
    """

    def __init__(self, label: str, detail: Callable[[], str] = str) -> None:
        self._label, self._detail = label, detail
        self._stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        self._repaint = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Live:
        if self._repaint:
            self._thread.start()
        else:
            self._stream.write(f"{self._label.rstrip()} …\n")
            self._stream.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._repaint:
            self._thread.join()
            self._stream.write("\r\x1b[2K")
        self._stream.close()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.2):
            line = f"{self._label}  {seconds(time.monotonic() - began)}  {printable(self._detail())}"
            width = shutil.get_terminal_size().columns
            self._stream.write(f"\r\x1b[2K{line[: width - 1]}")
            self._stream.flush()
