"""Who is who: accounts compared, roles held, and who may not approve what they made themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitml.gates.facts import Commit, Person, Proof, Unknown
from gitml.policy.facts import Case, Pull
from gitml.spec.agents import Agents
from gitml.spec.policy import Policy

# Of an address that the forge links with no account.
UNCLAIMED = "whom no account claims"
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


def involved(policy: Policy, case: Case, pull: Pull, *, lineage: bool) -> tuple[tuple[Involved, ...], tuple[str, ...]]:
    """Whose approval does not count (DESIGN decision 6), and what is not known of that: then nobody's is safe."""
    found = [*_of_pull(policy.agents, pull), *(_of_versions(policy.agents, case) if lineage else ())]
    known = tuple(i for i in found if isinstance(i, Involved))
    return known, tuple(dict.fromkeys(g.reason for g in found if isinstance(g, Unknown)))


def _of_pull(agents: Agents, pull: Pull) -> Iterator[Involved | Unknown]:
    pushers = (pull.pushers,) if isinstance(pull.pushers, Unknown) else pull.pushers or (Unknown("nobody is named"),)
    made = [(pull.author, "the author of the pull request"), *((p, "who pushed to its branch") for p in pushers)]
    bots = False
    for person, how in made:
        if isinstance(person, Unknown):
            yield Unknown(f"{how} is not known: {person.reason}")
        elif not person.is_known:
            yield Unknown(f"{how} is not known")
        else:
            bots = bots or not is_human(agents, person)
            yield Involved(person, how)
    commits = () if isinstance(pull.commits, Unknown) else pull.commits
    started = [person for commit in commits for person in commit.started_by]
    asked = [person for person in dict.fromkeys((*pull.asked_by, *started)) if person.is_known]
    for person in asked:
        yield Involved(person, "who made the bot open the pull request")
    if bots and not pull.derived and not any(is_human(agents, person) for person in asked):
        yield Unknown("who made the bot open the pull request is not known")
    yield from _of_commits(agents, pull.commits, "commit", "the pull request")


def _of_versions(agents: Agents, case: Case) -> Iterator[Involved | Unknown]:
    for _, version, facts in case.candidates:
        if isinstance(facts, Unknown):
            yield Unknown(f"who made {version} is not known: {facts.reason}")
            continue
        candidate, proofs = facts.candidate, () if isinstance(facts.proofs, Unknown) else facts.proofs
        yield from makers(agents, candidate.version, candidate.authors, proofs)


def makers(
    agents: Agents, version: str, authors: tuple[Commit, ...] | Unknown, proofs: Iterable[Proof]
) -> Iterator[Involved | Unknown]:
    """Whose work a version is: of its lineage's commits, and who trained it."""
    yield from _of_commits(agents, authors, "lineage commit", version)
    for proof in proofs:
        if proof.kind == "trained" and proof.version == version and proof.by and not proof.why_not:
            yield Involved(Person(proof.by), f"who trained {version.rpartition('-')[2]}")


def _of_commits(
    agents: Agents, commits: Sequence[Commit] | Unknown, word: str, whose: str
) -> Iterator[Involved | Unknown]:
    if isinstance(commits, Unknown):
        yield Unknown(f"who made the commits of {whose} is not known: {commits.reason}")
        return
    for commit in commits:
        if not commit.people:
            yield Unknown(f"nobody is known to have made the {word} {commit.sha[:8]}")
        yield from _of_commit(agents, commit, f"{word} {commit.sha[:8]}")


def _of_commit(agents: Agents, commit: Commit, name: str) -> Iterator[Involved | Unknown]:
    """An agent answers for nothing, so whoever started it does: each of its commits must name a person."""
    made = [person for person in commit.people if not agents.has(person.login, person.email)]
    for person in made:
        if person.is_known:
            yield Involved(person, f"author, committer or co-author of the {name}")
        else:
            told = f"the {name} is by {person.email or 'somebody'}, {UNCLAIMED}"
            yield Unknown(f"{told}: any reviewer might be the same person")
    for person in commit.started_by:
        if person.is_known:
            yield Involved(person, f"who started what made the {name}")
    if len(made) < len(commit.people) and not any(is_human(agents, p) for p in (*made, *commit.started_by)):
        yield Unknown(f"who started the coding agent that made the {name} is not known")


def is_human(agents: Agents, person: Person) -> bool:
    """Whether this is an account that can answer for something: no bot's, and no coding agent's."""
    return person.is_known and not person.bot and not agents.has(person.login, person.email)
