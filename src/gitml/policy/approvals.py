"""Whose approval counts (DESIGN decision 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gitml.gates.facts import Person, Unknown
from gitml.gates.verdicts import listed
from gitml.jsontext import picked, plain
from gitml.policy.change import Move, canary_change, classify
from gitml.policy.facts import Case, CountedReview, Pull
from gitml.policy.matching import assign
from gitml.policy.people import Involved, holds, involved, members_of, same
from gitml.spec.policy import Policy
from gitml.verdict import Phase

_DECIDING = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})


@dataclass(frozen=True)
class Heard:
    """The review of one person that decides: whether it counts, for which seat, and else why not.

    ``roles`` are those asked for that the person holds.
    """

    person: Person
    state: str
    counts: bool
    commit: str = ""
    seat: str = ""
    roles: tuple[str, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        told = picked(self, "state", "commit", "counts", "seat", "reason", "roles")
        return {**picked(self.person, "login", "id"), **told}


@dataclass(frozen=True)
class Seats:
    """What holders of ``roles`` must give, under the name ``role``.

    ``filled`` are those who do, ``could`` hold a role and may still approve. ``unknown`` are teams whose members are
    not known.
    """

    role: str
    roles: tuple[str, ...]
    needed: int
    filled: tuple[Person, ...] = ()
    could: tuple[Person, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        return max(0, self.needed - len(self.filled))

    def to_dict(self) -> dict[str, Any]:
        filled, could = ([p.name for p in people] for people in (self.filled, self.could))
        return {**picked(self, "role", "needed", "unknown"), "filled": filled, "could": could}


@dataclass(frozen=True)
class Approvals:
    """All reviews together. Successful when every seat is filled and nobody who may decide objects.

    ``gaps`` say what is not known of who made it: no approval is safe before that, however many there are.
    """

    phase: Phase
    reason: str
    seats: tuple[Seats, ...] = ()
    heard: tuple[Heard, ...] = ()
    gaps: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: a snapshot of who was heard."""
        return {**picked(self, "phase", "reason", "seats"), "reviews": plain(self.heard)}


def judge(policy: Policy, case: Case, move: Move) -> Approvals:
    """Who approves this change, who does not count and why, and who still has to.

    An approval counts if it is of the head commit, from a person who holds the role on the base branch now, and who is
    not the author of the pull request, whoever made the bot open it, the last who pushed, nor author, committer or
    co-author of one of its commits or of the version's lineage. Each person's latest approval, request for changes or
    dismissal decides; a later comment changes nothing. Nobody is counted twice: people are assigned to seats so that
    as many as possible are filled. A standing request for changes by a holder of a role asked for keeps the gate shut.
    """
    seats = _seats(policy, case, move)
    if not seats:
        return Approvals(Phase.SUCCESSFUL, "nobody has to approve")
    pull = case.pull
    if isinstance(pull, Unknown) or isinstance(pull.reviews, Unknown):
        why = pull.reason if isinstance(pull, Unknown) else _reason(pull.reviews)
        return Approvals(Phase.INCONCLUSIVE, f"the reviews are not known: {why}", _open(policy, case, seats, (), ()))
    made, gaps = involved(policy, case, pull, lineage=move in (Move.PROMOTION, Move.RESUME))
    heard = _assigned(seats, [_heard(policy, case, pull, review, seats, made) for review in _deciding(pull.reviews)])
    return _concluded(_open(policy, case, seats, heard, made), heard, gaps)


def _reason(found: object) -> str:
    return found.reason if isinstance(found, Unknown) else ""


def _seats(policy: Policy, case: Case, move: Move) -> tuple[Seats, ...]:
    """Going back, or stopping, needs one person of any role that the environment asks for."""
    wanted = policy.environments[case.environment].approvals
    if move in (Move.NOTHING, Move.REFUSED):
        return ()
    if (own := _of_candidate(policy, case)) is not None:
        return tuple(Seats(role, (role,), count) for role, count in own.items())
    if not wanted:
        return ()
    if move in (Move.ROLLBACK, Move.STOP):
        return (Seats(" or ".join(wanted), tuple(wanted), 1),)
    return tuple(Seats(role, (role,), count) for role, count in wanted.items())


def _of_candidate(policy: Policy, case: Case) -> Mapping[str, int] | None:
    """What policy asks for where the bot raises a candidate, makes it champion or takes it back, as was derived."""
    old, new, pull = case.old, case.new, case.pull
    if isinstance(old, Unknown) or isinstance(new, Unknown) or new is None or isinstance(pull, Unknown):
        return None
    rules = policy.environments[case.environment].canary_of(case.model)
    if rules is None or not pull.derived:
        return None
    kind = canary_change(old, new, classify(old, new, case.now))
    return rules.approvals.get(kind) if kind else None


def _deciding(reviews: Sequence[CountedReview]) -> Iterator[CountedReview]:
    """Each person's latest review that decides. Of two at the same time the later in the list, as the forge has it."""
    ordered = sorted((r for r in reviews if r.state.upper() in _DECIDING), key=lambda r: r.time)
    latest: list[CountedReview] = []
    for review in ordered:
        latest = [kept for kept in latest if not same(kept.person, review.person)] + [review]
    yield from latest


def _heard(
    policy: Policy, case: Case, pull: Pull, review: CountedReview, seats: Sequence[Seats], made: Sequence[Involved]
) -> Heard:
    asked = tuple(dict.fromkeys(role for s in seats for role in s.roles))
    found = {role: holds(policy, role, review.person, case.teams) for role in asked}
    roles = tuple(role for role, holding in found.items() if holding.holds)
    teams = tuple(dict.fromkeys(team for holding in found.values() for team in holding.unknown))
    state = review.state.upper()
    if policy.agents.has(review.person.login):
        return Heard(review.person, state, False, review.commit, reason="a coding agent's review never counts")
    reason = _why_not(review, state, pull, roles, asked, teams, made)
    return Heard(review.person, state, not reason, review.commit, "", roles, reason)


def _why_not(
    review: CountedReview,
    state: str,
    pull: Pull,
    roles: Sequence[str],
    asked: Sequence[str],
    teams: Sequence[str],
    made: Sequence[Involved],
) -> str:
    if state == "DISMISSED":
        return "the review was dismissed"
    if state == "CHANGES_REQUESTED":
        return "asks for changes"
    if not review.person.is_known or review.person.bot:
        return "a bot approves nothing" if review.person.bot else "the account is not known"
    own = next((i.how for i in made if same(i.person, review.person)), "")
    if own:
        return f"is {own}"
    if not roles:
        may = f"; whether {', '.join(teams)} has them is not known" if teams else ""
        return f"does not hold the role {' or '.join(asked)}{may}"
    if review.commit != pull.head:
        return f"approved {review.commit[:8] or 'no commit'}, the head is {pull.head[:8]}"
    return ""


def _assigned(seats: Sequence[Seats], heard: Sequence[Heard]) -> tuple[Heard, ...]:
    """The same with the seat that each one takes; whoever counts and finds all taken is told so."""
    counting = [h for h in heard if h.counts]
    options = [[s.role for s in seats if set(s.roles) & set(h.roles)] for h in counting]
    placed = assign({s.role: s.needed for s in seats}, options)
    found = {id(h): placed.get(place, "") for place, h in enumerate(counting)}
    return tuple(
        replace(h, seat=found[id(h)], reason="" if found[id(h)] else "counts, and is not needed") if h.counts else h
        for h in heard
    )


def _open(
    policy: Policy, case: Case, seats: Sequence[Seats], heard: Sequence[Heard], made: Sequence[Involved]
) -> tuple[Seats, ...]:
    """The seats with who fills them, who still could, and which teams are not known."""
    filled = []
    used = [h.person for h in heard if h.counts]
    barred = [*used, *(i.person for i in made)]
    for seat in seats:
        could = [p for p in _holders(policy, case, seat) if not any(same(p, b) for b in barred)]
        sitting = tuple(h.person for h in heard if h.seat == seat.role)
        filled.append(replace(seat, filled=sitting, could=tuple(could), unknown=_unknown_teams(policy, case, seat)))
    return tuple(filled)


def _holders(policy: Policy, case: Case, seat: Seats) -> list[Person]:
    found: list[Person] = []
    for role in (policy.roles[name] for name in seat.roles if name in policy.roles):
        people = [Person(p.login, p.id) for p in role.people]
        for team in role.teams:
            members = members_of(case.teams, team)
            people += () if isinstance(members, Unknown) else members
        found += [p for p in people if not any(same(p, other) for other in found)]
    return found


def _unknown_teams(policy: Policy, case: Case, seat: Seats) -> tuple[str, ...]:
    teams = [team for name in seat.roles if name in policy.roles for team in policy.roles[name].teams]
    return tuple(t for t in dict.fromkeys(teams) if isinstance(members_of(case.teams, t), Unknown))


def _concluded(seats: tuple[Seats, ...], heard: tuple[Heard, ...], gaps: Sequence[str]) -> Approvals:
    objecting = [h for h in heard if h.state == "CHANGES_REQUESTED" and h.roles]
    missing = [s for s in seats if s.missing]
    if objecting:
        return Approvals(Phase.FAILED, listed(f"{h.person.name} asks for changes" for h in objecting), seats, heard)
    if gaps:
        return Approvals(Phase.INCONCLUSIVE, listed(gaps), seats, heard, tuple(gaps))
    if missing:
        told = listed(f"{s.missing} more of {s.role}" for s in missing)
        return Approvals(Phase.INCONCLUSIVE, f"still to approve: {told}", seats, heard)
    names = ", ".join(f"{p.name} for {s.role}" for s in seats for p in s.filled)
    return Approvals(Phase.SUCCESSFUL, f"approved by {names}", seats, heard)
