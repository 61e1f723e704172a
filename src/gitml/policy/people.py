"""Who is who: accounts compared, roles held, and who may not approve what they made themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitml.gates.facts import Commit, Person, Unknown
from gitml.policy.facts import Case, Pull
from gitml.spec.policy import Policy

Teams = Mapping[str, tuple[Person, ...] | Unknown]


def same(one: Person, other: Person) -> bool:
    """Whether the two may be one account: equal ids, or equal logins in whatever case.

    In doubt they are: who is counted once too little keeps a gate shut, who is counted twice opens it.
    """
    if one.id is not None and one.id == other.id:
        return True
    return bool(one.login) and one.login.lower() == other.login.lower()


@dataclass(frozen=True)
class Holding:
    """Whether somebody holds a role. ``unknown`` are teams that may have them and whose members are not known."""

    holds: bool
    unknown: tuple[str, ...] = ()


def holds(policy: Policy, role: str, person: Person, teams: Teams) -> Holding:
    """By login in whatever case; where policy.yaml gives an id, by the id alone, which nobody else can take over."""
    wanted = policy.roles.get(role)
    if wanted is None or not person.is_known:
        return Holding(False)
    for named in wanted.people:
        by_id = named.id is not None and person.id == named.id
        by_login = named.id is None and person.login.lower() == named.login.lower()
        if by_id or by_login:
            return Holding(True)
    unknown = []
    for team in wanted.teams:
        members = members_of(teams, team)
        if isinstance(members, Unknown):
            unknown.append(team)
        elif any(_is_member(person, member) for member in members):
            return Holding(True)
    return Holding(False, tuple(unknown))


def _is_member(person: Person, member: Person) -> bool:
    """By id where both have one: the forge gives both, and a login can be taken over."""
    if person.id is not None and member.id is not None:
        return person.id == member.id
    return same(person, member)


def members_of(teams: Teams, team: str) -> tuple[Person, ...] | Unknown:
    """Names of teams differ by more than capital letters at the forge."""
    found = next((members for name, members in teams.items() if name.lower() == team.lower()), None)
    return found if found is not None else Unknown(f"nobody asked who is in {team}")


@dataclass(frozen=True)
class Involved:
    """Somebody who made a part of what is to be approved, and which: a phrase that follows "is"."""

    person: Person
    how: str


def involved(case: Case, pull: Pull, *, lineage: bool) -> tuple[tuple[Involved, ...], tuple[str, ...]]:
    """Whose approval does not count (DESIGN decision 6), and what is not known of that: then nobody's is safe."""
    found = [*_of_pull(pull), *(_of_versions(case) if lineage else ())]
    known = tuple(i for i in found if isinstance(i, Involved))
    return known, tuple(dict.fromkeys(g.reason for g in found if isinstance(g, Unknown)))


def _of_pull(pull: Pull) -> Iterator[Involved | Unknown]:
    bots = False
    for person, how in ((pull.author, "the author of the pull request"), (pull.last_pusher, "the last who pushed")):
        if isinstance(person, Unknown):
            yield Unknown(f"who is {how} is not known: {person.reason}")
        elif not person.is_known:
            yield Unknown(f"who is {how} is not known")
        else:
            bots = bots or person.bot
            yield Involved(person, how)
    asked = [person for person in pull.asked_by if person.is_known]
    for person in asked:
        yield Involved(person, "who made the bot open the pull request")
    if bots and not any(not person.bot for person in asked):
        yield Unknown("who made the bot open the pull request is not known")
    yield from _of_commits(pull.commits, "commit", "the pull request")


def _of_versions(case: Case) -> Iterator[Involved | Unknown]:
    for _, version, facts in case.candidates:
        if isinstance(facts, Unknown):
            yield Unknown(f"who made {version} is not known: {facts.reason}")
            continue
        candidate = facts.candidate
        yield from _of_commits(candidate.authors, "lineage commit", candidate.version)
        if not isinstance(facts.proofs, Unknown):
            for proof in facts.proofs:
                if proof.kind == "trained" and proof.version == candidate.version and proof.by and not proof.reason:
                    yield Involved(Person(proof.by), f"who trained {candidate.short}")


def _of_commits(commits: Sequence[Commit] | Unknown, word: str, whose: str) -> Iterator[Involved | Unknown]:
    if isinstance(commits, Unknown):
        yield Unknown(f"who made the commits of {whose} is not known: {commits.reason}")
        return
    for commit in commits:
        if not commit.people:
            yield Unknown(f"nobody is known to have made the {word} {commit.sha[:8]}")
        for person in commit.people:
            if person.is_known:
                yield Involved(person, f"author, committer or co-author of the {word} {commit.sha[:8]}")
            else:
                told = f"the {word} {commit.sha[:8]} is by {person.email or 'somebody'}, whom no account claims"
                yield Unknown(f"{told}: any reviewer might be the same person")
