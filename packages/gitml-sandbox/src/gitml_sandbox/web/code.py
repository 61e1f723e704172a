"""Text of files and logs for pages: colours, line by line, and nothing that the text says about itself is believed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape
from pygments import highlight as paint
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from gitml_sandbox.web.words import visible

MAX_PAINTED = 200_000
MAX_LINES = 5_000
IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_ANSI = re.compile(r"\x1b(?:\[([0-9;:?<=>!]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ?(.*)$", re.DOTALL)
_MARK = re.compile(r"##\[(\w[\w-]*)\](.*)", re.DOTALL)


def image_type(data: bytes, name: str) -> str | None:
    """The type of a picture by its first bytes; SVG by its name, as it is text."""
    for magic, kind in IMAGES.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if name.lower().endswith(".svg") and b"<svg" in data[:2000] else None


def is_binary(data: bytes) -> bool:
    """Git's own rule: a zero byte among the first 8,000."""
    return b"\0" in data[:8000]


def lines(text: str, name: str) -> list[Markup]:
    """The lines of a file, coloured by its name; at most 5,000 of them."""
    body = visible(text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n"))
    if len(body) <= MAX_PAINTED:
        formatter = HtmlFormatter(nowrap=True, classprefix="k-")
        painted = paint(body, _lexer(name), formatter).removesuffix("\n").split("\n")
        return [Markup(line) for line in painted[:MAX_LINES]]  # noqa: S704 - pygments has escaped it
    return [escape(line) for line in body.split("\n")[:MAX_LINES]]


def _lexer(name: str) -> object:
    options = {"stripnl": False, "ensurenl": False}
    try:
        return get_lexer_for_filename(name.rpartition("/")[2], **options)
    except ClassNotFound:
        return TextLexer(**options)


def log_line(line: str) -> tuple[str, str, Markup]:
    """Time, kind ('' or error, warning, notice, group, debug, command) and text of a line of a log."""
    match = _STAMP.match(line)
    stamp, rest = (match[1], match[2]) if match else ("", line)
    mark = _MARK.match(rest)
    if mark and mark[1] in ("error", "warning", "notice", "group", "debug", "command", "endgroup"):
        return stamp, mark[1], ansi(mark[2])
    return stamp, "", ansi(rest)


def ansi(text: str) -> Markup:
    """Colours of a terminal as classes; all other sequences, and what cannot be seen, are dropped."""
    return Markup("").join(_ansi(text[:20_000]))


def _ansi(text: str) -> Iterator[Markup]:
    at, classes = 0, ""
    for match in _ANSI.finditer(text):
        yield _span(text[at : match.start()], classes)
        if match[2] == "m":
            classes = _colour(match[1], classes)
        at = match.end()
    yield _span(text[at:], classes)


def _colour(codes: str, before: str) -> str:
    found = before.split()
    for code in codes.split(";")[:16] if codes else ["0"]:
        number = int(code) if code.isdigit() and len(code) < 4 else -1
        if number == 0:
            found = []
        elif number == 1:
            found = [*found, "t-bold"]
        elif 30 <= number <= 37 or 90 <= number <= 97:
            found = [c for c in found if c == "t-bold"] + [f"t-{number % 10}"]
        elif number == 39:
            found = [c for c in found if c == "t-bold"]
    return " ".join(dict.fromkeys(found))


def _span(text: str, classes: str) -> Markup:
    # A carriage return overwrites the line in a terminal: what was last seen is what counts.
    shown = "".join(c for c in text.rstrip("\r").rpartition("\r")[2] if c == "\t" or c == " " or c.isprintable())
    if not shown:
        return Markup("")
    return Markup('<span class="{}">{}</span>').format(classes, shown) if classes else escape(shown)
