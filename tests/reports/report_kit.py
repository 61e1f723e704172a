"""Reports made up within their types, of pieces that are hostile to whoever shows them."""

from __future__ import annotations

import dataclasses
import random
import types
from enum import StrEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le
from hypothesis import strategies as st

from gitml.reports.facts import Report
from gitml.reports.rowfacts import Asset

# Pieces that mean something to Markdown, to HTML, to GitHub or to a terminal.
PIECES = [
    "|", "\\", "`", "``", "\n", "\r\n", "\u2028", "\x85", "\x0b", "\x00", "\x1b[31m", "\u202e", "\u2066", "\u200b",
    "\ufeff", "@octocat", "@org/team", "#123", "GH-1", "a/b#7", "a" * 40, "deadbeef", "<b>", "<img src=//x.example/a>",
    "<!-- gitml:report:x -->", "-->", "</details>", "<details>", "![a](http://x.example/a.png)", "[a](javascript:x)",
    "http://x.example", "www.x.example", "me@x.example", "&lt;", "&#64;", "&", "~~~", "```", "~~", "$x$", "$$",
    ":tada:", "# h", "- a", "1. a", "> q", "***", "---", "===", "    code", "\t", "_a_", "*a*", "|-|-|", "[x]: http://x.example",
    "[^1]", "\U000e0041", "é", "日本", "👩‍💻", " ", "plain", "0.5",
]  # fmt: skip

hostile = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=8).map("".join)


def random_report(seed: int) -> Report:
    """A report drawn from the types of its fields; a seed is drawn by hypothesis far faster than the whole."""
    found: Report = _draw(random.Random(seed), Report)
    return found


def _draw(rng: random.Random, kind: Any) -> Any:
    if kind == Asset:
        return rng.choice(["", "a.png", "b/c-1/d_2.png"])
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        if any(getattr(part, "pattern", None) for extra in extras for part in getattr(extra, "metadata", [])):
            return "".join(rng.choices("0123456789abcdef", k=40))
        return _number(rng, inner, extras) if inner in (int, float) else _draw(rng, inner)
    if get_origin(kind) in (Union, types.UnionType):
        return _draw(rng, rng.choice(get_args(kind)))
    if get_origin(kind) is Literal:
        return rng.choice(get_args(kind))
    if get_origin(kind) is tuple:
        return tuple(_draw(rng, get_args(kind)[0]) for _ in range(rng.choice([0, 0, 1, 2, 4])))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{f.name: _draw(rng, hints[f.name]) for f in dataclasses.fields(kind)})
    return _scalar(rng, kind)


def _scalar(rng: random.Random, kind: Any) -> Any:
    if kind is type(None):
        return None
    if kind is str:
        return "".join(rng.choice(PIECES) for _ in range(rng.choice([0, 1, 1, 3, 8])))
    if kind is bool:
        return rng.random() < 0.5
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return rng.choice(list(kind))
    return rng.choice([0.0, -0.0, 1.0, -2.5e-9, 0.123456, 1e300, -1e18, 12345678.9, rng.gauss(0, 1)])


def _number(rng: random.Random, kind: Any, extras: list[Any]) -> Any:
    parts = [part for extra in extras for part in getattr(extra, "metadata", [extra])]
    low = next(part.ge for part in parts if isinstance(part, Ge))
    high = next(part.le for part in parts if isinstance(part, Le))
    return kind(rng.choice([low, high, low + (high - low) * rng.random() ** 8]))
