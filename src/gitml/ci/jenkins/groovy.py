"""Text of users as Groovy literals, and blocks of a declarative pipeline.

Only single quotes are used around it: between them Groovy fills nothing in, ``$`` among it.
https://docs.groovy-lang.org/docs/groovy-2.4.21/html/documentation/#_escaping_special_characters
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.errors import UsageError


def quoted(text: str) -> str:
    """``text`` as a literal of one line.

    >>> print(quoted("it's $HOME"))
    'it\\'s $HOME'
    """
    return f"'{_escaped(text)}'"


def script(text: str) -> list[str]:
    """``text``, a shell script of several lines, as the lines of one literal: the first and last hold the quotes."""
    return ["'''\\", *(_escaped(line) for line in text.split("\n")), "'''"]


def exact(lines: Sequence[str]) -> list[str]:
    """Lines as one, so that none but the first is indented: what somebody else wrote may hold a here-document."""
    return ["\n".join(lines)]


def _escaped(text: str) -> str:
    if not all(c.isprintable() or c == "\t" for c in text):
        raise UsageError(f"{text!r} cannot stand in a Jenkinsfile", "it holds characters that cannot be printed")
    # Groovy looks for \uXXXX before anything else, so a backslash never stays one.
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\t", "\\t")


def block(head: str, *bodies: Sequence[str]) -> list[str]:
    """``head { … }``; nothing where the body is empty."""
    inner = [line for body in bodies for line in body]
    return [f"{head} {{", *indented(inner), "}"] if inner else []


def indented(lines: Sequence[str]) -> list[str]:
    """Lines of scripts too: their own quotes end at a line of their own, and a shell does not mind blanks."""
    return [f"  {line}" if line else line for line in lines]
