"""What `gitml ci record` finds to sign."""

from __future__ import annotations

from dataclasses import dataclass

from gitml.evidence.statement import Statement


@dataclass(frozen=True)
class Due:
    """Statements that belong together, added in one commit with ``parents`` (commits that must stay reachable).

    Without statements ``said`` tells why nothing can be signed. ``problem``: somebody has to look at it.
    """

    said: str
    statements: tuple[Statement, ...] = ()
    parents: tuple[str, ...] = ()
    problem: bool = False
