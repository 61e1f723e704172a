"""A report read as GitHub would: by two Markdown parsers, one of them GitHub's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from markdown_it import MarkdownIt
from markdown_it.token import Token

# What the report itself writes in HTML; anything else came from the facts.
OURS = re.compile(
    r"<details>\n<summary>(?:[^<>\n]|<code>[^<>\n]*</code>)*</summary>\n?|</details>\n?|<sub>|</sub>", re.ASCII
)
# Links that GitHub makes of text outside code, after Markdown was read.
FORGED = re.compile(
    r"(?<![\w`])@[a-z\d](?:[a-z\d-]*)|(?:^|[^\w&])#\d+\b|\bGH-\d+|\b[0-9a-f]{7,40}\b|https?://[\w]|www\.\w", re.I
)


@dataclass
class Read:
    """What stands in the text: rows of each table by number of cells, addresses, text outside code, foreign HTML."""

    tables: list[list[int]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    headings: int = 0
    quotes: int = 0
    blocks: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0


def read(markdown: str) -> Read:
    """With markdown-it: CommonMark and GitHub's tables."""
    found = Read()
    _walk(MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").parse(markdown), found)
    return found


def _walk(tokens: list[Token], found: Read) -> None:
    for token in tokens:
        _table(token, found)
        if token.type == "fence":
            found.blocks.append(token.content)
        elif token.type in ("html_block", "html_inline"):
            found.opened += token.content.count("<details")
            found.closed += token.content.count("</details")
            if not OURS.fullmatch(token.content):
                found.foreign.append(token.content)
            if token.type == "html_block":
                found.text.append(re.sub(r"<code>[^<]*</code>", "", token.content))
        elif token.type == "image":
            found.pictures.append(str(token.attrs["src"]))
        elif token.type == "link_open":
            found.links.append(str(token.attrs["href"]))
        elif token.type == "text":
            found.text.append(token.content)
        found.headings += token.type == "heading_open"
        found.quotes += token.type in ("blockquote_open", "code_block", "hr")
        if token.children:
            _walk(token.children, found)


def _table(token: Token, found: Read) -> None:
    if token.type == "table_open":
        found.tables.append([])
    elif token.type == "tr_open":
        found.tables[-1].append(0)
    elif token.type in ("th_open", "td_open"):
        found.tables[-1][-1] += 1


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[int]] = []
        self.pictures: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append(0)
        elif tag in ("td", "th"):
            self.tables[-1][-1] += 1
        elif tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        elif tag == "a":
            self.links.append(dict(attrs)["href"] or "")


def read_as_github(markdown: str) -> _Cells:
    """With cmark-gfm: tables, autolinks and strikethrough as GitHub reads them."""
    options = cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE
    cells = _Cells()
    cells.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, options))
    return cells
