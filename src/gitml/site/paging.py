"""Long lists in several pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class PagePart(Generic[T]):
    """A part of a list. ``others`` are the files of all parts, in their order; empty where there is only one."""

    path: str
    number: int
    items: Sequence[T]
    others: tuple[str, ...]
    count: int


def paged(items: Sequence[T], most: int, path: str) -> Iterator[PagePart[T]]:
    """At least one part. The first has the file ``path``, the others a number in their name.

    >>> [(part.path, list(part.items)) for part in paged("abc", 2, "models/m/index.html")]
    [('models/m/index.html', ['a', 'b']), ('models/m/index-2.html', ['c'])]
    """
    stem = path.removesuffix(".html")
    count = max(1, -(-len(items) // most))
    files = tuple(path if number == 1 else f"{stem}-{number}.html" for number in range(1, count + 1))
    for place, file in enumerate(files):
        part = items[place * most : (place + 1) * most]
        yield PagePart(file, place + 1, part, files if count > 1 else (), len(items))
