"""A text of sections that fits: the least important ones lose rows first, and nothing is cut inside a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST_ROWS = 3


@dataclass(frozen=True)
class Section:
    """``head``, then ``rows`` (whole lines each), then ``tail`` with whatever must be closed.

    ``rank`` 0 is kept first. ``more`` goes below the rows when some are left out, with their number for ``{}``.
    A section without rows is kept whole or not at all.
    """

    rank: int
    head: str
    rows: tuple[str, ...] = ()
    tail: str = ""
    more: str = ""

    def text(self, count: int) -> str:
        left = len(self.rows) - count
        parts = [self.head, *self.rows[:count], self.more.format(f"{left:,}") if left and self.more else "", self.tail]
        return "\n".join(part for part in parts if part)


def fit(sections: Sequence[Section], limit: int, note: str) -> str:
    """The sections in their order, parted by blank lines, in at most ``limit`` bytes of UTF-8.

    ``note`` is put at the end when anything was left out. Raises ValueError when not even it fits.
    """
    whole = "\n\n".join(section.text(len(section.rows)) for section in sections)
    if _size(whole) <= limit:
        return whole
    kept: dict[int, str] = {}
    left = limit - _size(note)
    if left < 0:
        raise ValueError(f"{limit} bytes are too few for any report")
    for place in sorted(range(len(sections)), key=lambda i: (sections[i].rank, i)):
        text = _most(sections[place], left - 2)
        if text is not None:
            kept[place] = text
            left -= _size(text) + 2
    return "\n\n".join([*(kept[place] for place in sorted(kept)), note])


def _most(section: Section, room: int) -> str | None:
    """As many rows as have room; None where it is too little to be of use."""
    low, high = min(_FEWEST_ROWS, len(section.rows)), len(section.rows)
    if _size(section.text(low)) > room:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if _size(section.text(middle)) <= room:
            low = middle
        else:
            high = middle - 1
    return section.text(low)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
