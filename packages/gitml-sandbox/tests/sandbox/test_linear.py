"""Patterns that people write cannot keep the sandbox busy, and mean what the regular expressions would."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml_sandbox.forge import codeowners, globs
from gitml_sandbox.forge.patterns import FOLDERS, Part, Pattern, anything, exactly, maybe, no_slash

PIECES = {
    "a": ([exactly("a")], "a"),
    "/": ([exactly("/")], "/"),
    "*": ([Part(no_slash, many=True)], "[^/]*"),
    "**": ([Part(anything, many=True)], ".*"),
    "?": ([Part(no_slash)], "[^/]"),
    "**/": (FOLDERS, "(?:.*/)?"),
    "below": (maybe([exactly("/"), Part(anything), Part(anything, many=True)]), "(?:/.+)?"),
}


@given(st.lists(st.sampled_from(sorted(PIECES)), max_size=6), st.text("ab/", max_size=8))
def test_the_same_as_a_regular_expression(names: list[str], text: str) -> None:
    parts = tuple(part for name in names for part in PIECES[name][0])
    expression = re.compile("".join(PIECES[name][1] for name in names), re.S)
    assert Pattern(parts).fullmatch(text) == bool(expression.fullmatch(text))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a+b", ["ab", "aaab"], ["b", "a+b"]),
        ("ab?c", ["ac", "abc"], ["abbc"]),
        ("a?+b", ["b", "aab"], ["c"]),
        ("[0-9]+", ["7", "2026"], ["", "x"]),
        ("+a", ["+a"], ["a"]),
        ("v*+", ["v", "v1"], ["v/1"]),
        ("[a&&b]", ["a", "&"], ["c"]),
    ],
)
def test_signs_that_repeat(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [n for n in yes if not globs.selected(n, [pattern])] == []
    assert [n for n in no if globs.selected(n, [pattern])] == []


@pytest.mark.parametrize("pattern", ["*a" * 60 + "b", "**a*" * 60 + "b", "a+" * 60 + "b", "**/" * 60 + "b"])
def test_a_pattern_made_to_backtrack_ends_at_once(pattern: str) -> None:
    begun = time.process_time()
    name = "a/" * 500 + "a" * 2000
    assert not globs.selected(name, [pattern])
    assert not codeowners.parse(f"{pattern} @ada\n").owners(name)
    assert time.process_time() - begun < 3
