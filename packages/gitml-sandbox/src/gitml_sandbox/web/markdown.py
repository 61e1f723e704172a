"""Markdown that others wrote, as HTML that cannot do harm: CommonMark with tables, then an allow-list.

Pictures come from repositories of this sandbox alone; every other address in an ``img`` becomes a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markupsafe import Markup

from gitml_sandbox.web.words import visible

MAX_SOURCE = 200_000
# The time for opening brackets grows with their square: 30,000 take seconds, 4,000 do not.
MAX_BRACKETS = 4_000
PLACEHOLDER = "/static/no-picture.svg"
TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "ul",
        "var",
    ]
)
ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "ol": {"start"},
    "details": {"open"},
    "abbr": {"title"},
}
_WORD = re.compile(r"(?<![\w/&@#])(?:@([A-Za-z0-9][A-Za-z0-9-]{0,38})|#([0-9]{1,9}))(?![\w-])")
_PICTURE = re.compile(r"/([^/]+)/([^/]+)/(?:raw|blob)/(.+)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class Place:
    """Where a text stands: the repository's pages, the ref and folder that relative addresses mean, who exists."""

    home: str
    ref: str
    folder: str = ""
    hosts: tuple[str, ...] = ()
    is_user: Callable[[str], bool] = lambda login: False


def render(source: str, place: Place) -> Markup:
    """The text as safe HTML."""
    if len(source) > MAX_SOURCE:
        source = source[:MAX_SOURCE] + "\n\n*The rest of this text is left out: it is too long.*"
    if source.count("[") > MAX_BRACKETS:
        return Markup("<pre>{}</pre>").format(visible(source))
    raw = _parser(place).render(source)
    clean = nh3.clean(
        raw,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=lambda tag, name, value: _attribute(tag, name, value, place),
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
        clean_content_tags={"script", "style", "template", "textarea", "title", "noscript"},
    )
    return Markup(_scrollable(clean))  # noqa: S704 - nh3 has just cleaned it


def _scrollable(html: str) -> str:
    """Wide tables scroll in a box of their own; it can be reached by keyboard."""
    opened = html.replace("<table>", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')
    return opened.replace("</table>", "</table></div>")


def _parser(place: Place) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 50}).enable(["table", "strikethrough"])
    parser.core.ruler.push("words", lambda state: _link_words(state, place))
    return parser


def _link_words(state: StateCore, place: Place) -> None:
    """@name of a user and #number become links, outside of links and code; [ ] and [x] become boxes."""
    for block in state.tokens:
        if block.type in ("th_open", "td_open") and "style" in block.attrs:
            # An attribute that survives the allow-list, in place of a style that the page's policy forbids.
            block.attrs["align"] = str(block.attrs.pop("style")).removeprefix("text-align:")
        if block.type == "inline" and block.children:
            _boxes(block.children)
            depth, found = 0, []
            for token in block.children:
                depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
                found += list(_split(token, place)) if token.type == "text" and depth == 0 else [token]
            block.children = found


def _boxes(children: list[Token]) -> None:
    first = children[0]
    if first.type == "text" and first.content[:4] in ("[ ] ", "[x] ", "[X] "):
        first.content = ("☐ " if first.content[1] == " " else "☑ ") + first.content[4:]


def _split(token: Token, place: Place) -> Iterator[Token]:
    at = 0
    for match in _WORD.finditer(token.content):
        login, number = match.groups()
        if login and not place.is_user(login):
            continue
        yield _text(token.content[at : match.start()])
        address = f"/{login}" if login else f"{place.home}/issues/{number}"
        yield Token("link_open", "a", 1, attrs={"href": address})
        yield _text(match.group())
        yield Token("link_close", "a", -1)
        at = match.end()
    yield _text(token.content[at:])


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _attribute(tag: str, name: str, value: str, place: Place) -> str | None:
    if tag == "img" and name == "src":
        return picture(value, place) or PLACEHOLDER
    if tag == "a" and name == "href":
        return link(value, place)
    if name in ("width", "height", "colspan", "rowspan", "start"):
        return value if re.fullmatch(r"[0-9]{1,4}%?", value) else None
    return value


def _inside(value: str, place: Place) -> str | None:
    """The path on this server that an address means: own hosts and relative ones; None for all others."""
    if any(ord(c) < 33 or c == "\\" for c in value) or value.startswith("//"):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        own = f"{parts.scheme}://{parts.netloc}" in place.hosts
        return parts.path or "/" if own else None
    return parts.path


def picture(value: str, place: Place) -> str | None:
    """The address of a picture in a repository here; None for everything else."""
    path = _inside(value.strip(), place)
    if not path:
        return None
    if not path.startswith("/"):
        target = _below(place.folder, unquote(path))
        return f"{place.home}/raw/{quote(place.ref)}/{quote(target)}" if target else None
    match = _PICTURE.fullmatch(path)
    if match is None or ".." in unquote(path).split("/"):
        return None
    owner, name, rest = (quote(unquote(part)) for part in match.groups())
    return f"/{owner}/{name}/raw/{rest}"


def link(value: str, place: Place) -> str | None:
    """Absolute links stay; those to files beside the text lead to their page."""
    value = value.strip()
    if _SCHEME.match(value) or value.startswith(("/", "#", "?")):
        return None if value.startswith(("//", "/\\")) else value
    path = _inside(value, place)
    target = _below(place.folder, unquote(path)) if path else None
    return f"{place.home}/blob/{quote(place.ref)}/{quote(target)}" if target else None


def _below(folder: str, path: str) -> str | None:
    """A path relative to a folder, without leaving the repository."""
    parts: list[str] = []
    for part in (*PurePosixPath(folder).parts, *path.split("/")):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or None
