"""Whose approval counts (DESIGN decision 6)."""

from __future__ import annotations

from dataclasses import dataclass

from gitml.policy.facts import Case, Person
from gitml.spec.policy import Policy
from gitml.verdict import Phase


@dataclass(frozen=True)
class Heard:
    """The review of one person that decides: whether it counts, for which role, and else why not."""

    person: Person
    state: str
    counts: bool
    roles: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Seats:
    """What one role must give: ``filled`` by these people, and who holds it and could still approve.

    ``teams`` are the role's teams, ``unknown`` those whose members are not known.
    """

    role: str
    needed: int
    filled: tuple[Person, ...] = ()
    could: tuple[Person, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        return max(0, self.needed - len(self.filled))


@dataclass(frozen=True)
class Approvals:
    """All reviews together. Successful when every seat is filled and nobody who may decide objects."""

    phase: Phase
    reason: str
    seats: tuple[Seats, ...] = ()
    heard: tuple[Heard, ...] = ()


def judge(policy: Policy, case: Case) -> Approvals:
    """Who approves this change, who does not count and why, and who still has to."""
    seats = tuple(Seats(role, count) for role, count in policy.environments[case.environment].approvals.items())
    return Approvals(Phase.INCONCLUSIVE, "approvals cannot be judged yet", seats)
