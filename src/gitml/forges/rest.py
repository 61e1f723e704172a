"""REST below the operations: paths, pages, and answers that are looked at before they are believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from gitml.http import Http, HttpError, Request

T = TypeVar("T")
PAGE = 100
# A list without an end is a server's mistake, or an attack.
MAX_PAGES = 100


class Shape:
    """One JSON object of an answer; each part is asked for with its type. Raises HttpError when it is not there."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise HttpError(f"the answer to {where} is not what the forge describes: an object is missing")
        self._value, self._where = value, where

    def _found(self, kind: type[T] | tuple[type[T], ...], words: tuple[str, ...]) -> T | None:
        at: Any = self._value
        for word in words:
            if not isinstance(at, dict):
                return None
            at = at.get(word)
        if isinstance(at, kind) and not (isinstance(at, bool) and kind is int):
            return at
        return None

    def _needed(self, kind: type[T], words: tuple[str, ...]) -> T:
        found = self._found(kind, words)
        if found is None:
            name = ".".join(words)
            raise HttpError(f"the answer to {self._where} is not what the forge describes: {name} is missing")
        return found

    def has(self, *words: str) -> bool:
        return self._found(object, words) is not None

    def text(self, *words: str) -> str:
        return self._needed(str, words)

    def text_or(self, *words: str, default: str = "") -> str:
        """For what forges leave out or set to null: a deleted user, a missing description."""
        found = self._found(str, words)
        return default if found is None else found

    def number(self, *words: str) -> int:
        return self._needed(int, words)

    def number_or(self, *words: str, default: int = 0) -> int:
        found = self._found(int, words)
        return default if found is None else found

    def flag(self, *words: str) -> bool:
        """Whether it is there and true."""
        return self._found(bool, words) is True

    def flag_or_none(self, *words: str) -> bool | None:
        return self._found(bool, words)

    def objects(self, *words: str) -> tuple[Shape, ...]:
        return tuple(Shape(item, self._where) for item in self._needed(list, words))

    def words(self, *words: str) -> tuple[str, ...]:
        """A list of texts; empty when it is missing."""
        return tuple(item for item in self._found(list, words) or () if isinstance(item, str))

    def plain(self, *words: str) -> dict[str, object]:
        """An object as it is; empty when it is missing."""
        return dict(self._found(dict, words) or {})


class Rest:
    """Calls below ``home``, the repository's own path; a path that starts with a slash is below the API itself."""

    def __init__(self, http: Http, repository: str, home: str) -> None:
        self.http, self.repository, self._home = http, repository, home

    def _path(self, path: str) -> str:
        return path[1:] if path.startswith("/") else f"{self._home}/{path}".rstrip("/")

    def call(self, method: str, path: str, body: Any = None, *, repeatable: bool = True, **query: str) -> Any:
        """The JSON of the answer, None when it has none."""
        return self.http.send(Request(method, self._path(path), query, body, repeatable)).value

    def download(self, path: str) -> bytes:
        return self.http.download(self._path(path))

    def one(self, method: str, path: str, body: Any = None, *, repeatable: bool = True, **query: str) -> Shape:
        found = self.call(method, path, body, repeatable=repeatable, **query)
        return Shape(found, f"{method} {self._path(path)}")

    def pages(self, path: str, wrap: str = "", **query: str) -> Iterator[Shape]:
        """Each object of a list, over all pages; ``wrap`` names the list inside an object.

        Of the link to the next page only the query is taken: wherever it points, the token goes where it always went.
        """
        asked: Mapping[str, str] = {"per_page": str(PAGE), **query}
        where = f"GET {self._path(path)}"
        for _ in range(MAX_PAGES):
            answer = self.http.send(Request("GET", self._path(path), asked))
            listed = Shape(answer.value, where).objects(wrap) if wrap else Shape({"": answer.value}, where).objects("")
            yield from listed
            target = _next(answer.headers.get("link", ""))
            if target is None:
                return
            asked = {**asked, **target}
        raise HttpError(f"the answer to {where} has no end: more than {MAX_PAGES} pages")


def _next(link: str) -> dict[str, str] | None:
    """The query of the page that follows (RFC 8288)."""
    for part in link.split(","):
        target, _, rest = part.strip().partition(">")
        if 'rel="next"' in rest and target.startswith("<"):
            return dict(parse_qsl(urlsplit(target[1:]).query))
    return None


def word(text: str) -> str:
    """One word of a path: slashes, question marks and the like are encoded."""
    return quote(text, safe="")


@contextmanager
def absent_is_none(*more: int) -> Iterator[None]:
    """Swallow "not found", so that the caller goes on behind the block; ``more`` are other answers that say so."""
    try:
        yield
    except HttpError as exc:
        if exc.status not in (404, 410, *more):
            raise
