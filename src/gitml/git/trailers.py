"""The trailers of a commit's message, as Git itself reads them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gitml.git.runner import git


def trailers(message: str) -> tuple[tuple[str, str], ...]:
    """Key and value of each trailer, in order: folded values on one line, keys as they are written.

    Git's own rules decide what a trailer is, such as a space before the colon or a value that goes on in the next
    line: a parser of our own would read another list than the forge does.

    >>> trailers("Train\\n\\nCo-Authored-By : Rita\\n  <rita@example.org>\\n")
    (('Co-Authored-By', 'Rita <rita@example.org>'),)
    """
    if ":" not in message:
        return ()
    words = ("-c", "trailer.separators=:", "interpret-trailers", "--parse", "--no-divider")
    said = git(Path(tempfile.gettempdir()), *words, stdin=_ended(message)).stdout.decode("utf-8", "replace")
    pairs = (line.partition(":") for line in said.splitlines())
    return tuple((key.strip(), value.strip()) for key, colon, value in pairs if colon)


def _ended(message: str) -> bytes:
    # Without a newline at the end Git takes the last line for a part of the subject.
    return f"{message.rstrip()}\n".encode("utf-8", "surrogateescape")


def values(message: str, key: str) -> tuple[str, ...]:
    """The values of one trailer; ``key`` in whatever case.

    >>> values("x\\n\\nGitml-Cause: a\\ngitml-cause: b\\n", "Gitml-Cause")
    ('a', 'b')
    """
    # A process only where the word stands in the message at all.
    if key.casefold() not in message.casefold():
        return ()
    return tuple(value for name, value in trailers(message) if name.casefold() == key.casefold())
