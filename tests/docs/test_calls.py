"""Every call of `gitml` that a page shows, executed or not, is one that the command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gitml.cli.main import gitml
from gitml.errors import GitmlError

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "docs").rglob("*.md")))]
_BLOCK = re.compile(r"^```(?:console|bash|sh)\n(?P<body>.*?)^```$", re.M | re.S)


def calls(text: str) -> Iterator[list[str]]:
    """The words behind `gitml`, of lines that begin with it; pipes, comments and what comes after them left out."""
    for block in _BLOCK.finditer(text):
        joined = block["body"].replace("\\\n", " ").replace("\n> ", " ")
        for line in joined.splitlines():
            found = re.match(r"\$ (?:[A-Z_]+=\S+ )*gitml (?P<words>.*)", line)
            if found:
                words = shlex.split(re.split(r" (?:\|\|?|>|&&|;|2>) ", found["words"])[0], comments=True)
                yield [word for word in words if word != "&"]


def refused(words: list[str]) -> str:
    """Why the command does not take them; files need not be there, nor keys be keys."""
    command, name, above = gitml, "gitml", None
    try:
        while True:
            context = command.make_context(name, list(words), parent=above)
            words = [*getattr(context, "_protected_args", []), *context.args]
            if not isinstance(command, click.Group) or not words:
                return ""
            found, inner, words = command.resolve_command(context, words)
            command, name, above = inner, str(found), context
    except click.UsageError as exc:
        return "" if "does not exist" in exc.format_message() else exc.format_message()
    except (click.exceptions.Exit, GitmlError):
        return ""


@pytest.mark.parametrize("page", PAGES)
def test_the_calls_of_a_page_are_taken(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    whole = [words for words in calls(text) if words and "…" not in words]
    wrong = [f"gitml {' '.join(words)}: {why}" for words in whole if (why := refused(words))]
    assert wrong == []
