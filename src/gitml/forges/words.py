"""What adapters share: texts as forges take them, and names in commits."""

from __future__ import annotations

import re

from gitml.forges.governed import CommitIdentity

MAX_DESCRIPTION = 140
_CO_AUTHOR = re.compile(r"^co-authored-by:[ \t]*(?P<name>[^<\n]*?)[ \t]*<(?P<email>[^>\n]+)>[ \t]*$", re.I | re.M)


def cut(text: str, longest: int = MAX_DESCRIPTION) -> str:
    """One line of at most ``longest`` characters.

    >>> cut("a  b\\nc", 4)
    'a b…'
    """
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def co_authors(message: str) -> tuple[CommitIdentity, ...]:
    """Whom the trailers of a commit's message name.

    >>> co_authors("Train\\n\\nCo-authored-by: Rita <rita@example.org>\\n")
    (CommitIdentity(name='Rita', email='rita@example.org'),)
    """
    return tuple(CommitIdentity(found["name"], found["email"].strip()) for found in _CO_AUTHOR.finditer(message))


def of_organisation(team: str, owner: str) -> bool:
    """Whether ``organisation/team`` is a team of ``owner``."""
    return team.partition("/")[0].lower() == owner.lower()
