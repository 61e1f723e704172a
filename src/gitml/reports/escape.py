"""Hostile text in Markdown: it is shown as it is, and does nothing.

GitHub turns more than Markdown into links: names after an at sign, numbers after a hash, digests of commits, addresses.
It does so after Markdown was read, so a backslash does not help. Names therefore go into code spans, where it links
nothing; sentences get an invisible space (U+200B) where a link would begin.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import quote

GAP = "\u200b"
_UNSEEN = "\ufffd"
_JOINERS = "\u200c\u200d"
_BLANK = "\u115f\u1160\u3164\uffa0\u2800"  # letters by category, seen by nobody
_COMMENT = re.compile(r"<(?=!)")
_SPECIAL = re.compile(r"[\\`*_\[\]<>&~#!$|{}^]")
_STARTS = re.compile(r"^(?:([-+=:])|(\d{1,9})([.)]))")
_LINKS = (
    re.compile(r"[@#](?=\w)", re.ASCII),
    re.compile(r"\b[A-Za-z]{2,10}(?=-\d)", re.ASCII),  # GH-1, and the autolinks that a repository defines itself
    re.compile(r"www(?=\.)", re.IGNORECASE),
    re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?=\S)", re.ASCII),  # https://, mailto:
    re.compile(r"[0-9a-fA-F]{6}(?=[0-9a-fA-F])"),
)
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~%+@=/-]*)?(?:\?[A-Za-z0-9._~%+=&-]*)?")
_MOST_COMBINING = 4


def visible(text: str) -> str:
    """One line without anything that is not seen: control, bidirectional and private characters become U+FFFD."""
    line = " ".join(text.split())
    found: list[str] = []
    combining = 0
    for place, char in enumerate(line):
        combining = combining + 1 if unicodedata.combining(char) else 0
        if combining <= _MOST_COMBINING:
            found.append(char if _is_seen(line, place) else _UNSEEN)
    return "".join(found)


def _is_seen(line: str, place: int) -> bool:
    char = line[place]
    if char in _JOINERS:  # emoji and several scripts need them; between Latin letters they only deceive
        return 0 < place < len(line) - 1 and not (line[place - 1].isascii() or line[place + 1].isascii())
    return char == " " or (char.isprintable() and char not in _BLANK)


def clip(text: str, most: int) -> str:
    """At most that many characters, an ellipsis where some are left out.

    >>> clip("gradient", 5)
    'grad…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def code(text: str, most: int = 80) -> str:
    """A name as a code span.

    >>> code("a`b")
    '``a`b``'
    """
    shown = _COMMENT.sub("<" + GAP, clip(visible(text), most))
    if not shown:
        return "(empty)"
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def prose(text: str, most: int = 300) -> str:
    """A sentence as plain text: no markup, no link, no mention.

    >>> prose("see *this*") == "see \\\\*this\\\\*"
    True
    """
    shown = clip(visible(text), most)
    for beginning in _LINKS:
        shown = beginning.sub(lambda match: match.group() + GAP, shown)
    escaped = _SPECIAL.sub(lambda match: "\\" + match.group(), shown)
    return _STARTS.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", escaped)


def html_code(text: str, most: int = 80) -> str:
    """A name inside HTML of ours, where Markdown is not read.

    >>> html_code("<b>")
    '<code>&lt;b&gt;</code>'
    """
    return f"<code>{html.escape(clip(visible(text), most)) or '(empty)'}</code>"


def block(text: str, *, lines: int = 30, width: int = 300, language: str = "text") -> str:
    """The last lines as a fenced code block."""
    kept = [_block_line(line, width) for line in text.rstrip().splitlines()[-lines:]]
    body = "\n".join(kept) or "(empty)"
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def _block_line(line: str, width: int) -> str:
    spaced = re.sub(r"[^\S\x1c-\x1f\x85]", " ", clip(line.expandtabs(4), width))
    shown = "".join(c if _is_seen(spaced, place) else _UNSEEN for place, c in enumerate(spaced))
    return _COMMENT.sub("<" + GAP, shown.rstrip())


def row(cells: Sequence[str]) -> str:
    """A line of a table, of cells that are Markdown already."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def is_plain_url(url: str) -> bool:
    """An http address without anything that could end a link in Markdown or name a user."""
    return _URL.fullmatch(url) is not None and "@" not in url.split("/")[2]


def link(label: str, url: str) -> str:
    """``label`` is Markdown already; without a plain address it stays text."""
    return f"[{label}]({url})" if is_plain_url(url) else label


def image(title: str, url: str) -> str:
    """A picture, or nothing where the address is not plain."""
    return f"![{prose(title, 100)}]({url})" if is_plain_url(url) else ""


def path_in_url(path: str) -> str:
    """A path, branch or name as part of an address."""
    return quote(path, safe="/")
