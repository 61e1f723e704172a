"""Who stands behind a pull request and behind a version, as the forge knows them.

An account counts, not what a commit says of itself: anybody can write any name there. Who is not known stays unknown,
and policy then trusts no approval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from typing import Any, TypeVar

from gitml.control.change import REQUESTED, requested_by
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents
from gitml.errors import GitmlError
from gitml.evidence.statement import Binding
from gitml.forges import governed
from gitml.forges.base import PullRequest
from gitml.forges.governed import PullCommit
from gitml.gates.facts import Commit, Person, Unknown
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.trailers import values
from gitml.policy.facts import CountedReview, Pull
from gitml.spec.policy import Policy

BOT = Person(f"{BOT_NAME}[bot]", email=BOT_EMAIL, bot=True)
_NOREPLY = re.compile(r"(?:(?P<id>\d+)\+)?(?P<login>[A-Za-z0-9][A-Za-z0-9-]*(?:\[bot\])?)@users\.noreply\.[a-z0-9.-]+")
_CO_AUTHOR = "Co-authored-by"
# Forges look for the words in each line; Git knows other ways to write a trailer. Whoever is named in either counts.
_LINE = re.compile(rf"^{_CO_AUTHOR}:(?P<value>.*<[^<>\n]+>.*)$", re.I | re.M)
_ACCOUNT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?(\[bot\])?")
_EMAIL = re.compile(r"<(?P<email>[^<>]+)>")
_T = TypeVar("_T")
# Where the gate's evidence says who pushed.
PUSHERS = "pushers"


def person_of(account: governed.Account) -> Person:
    """An account as policy sees it. Logins of apps end in ``[bot]``; one that is gone is nobody."""
    return Person(account.login, account.id or None, bot=account.login.endswith("[bot]"))


def person_to(person: Person) -> dict[str, Any]:
    """As evidence holds a person."""
    return {"login": person.login, "id": person.id}


def person_from(told: Any) -> Person:
    """From what ``person_to`` wrote; whatever else stands there is nobody known."""
    login, number = (told.get("login"), told.get("id")) if isinstance(told, dict) else ("", None)
    name = login if isinstance(login, str) else ""
    return Person(name, number if isinstance(number, int) else None, bot=name.endswith("[bot]"))


def by_address(email: str) -> Person:
    """Whom an address names, where it is one that the forge gives to accounts; of others that is not known.

    >>> by_address("12+ada@users.noreply.github.com").login
    'ada'
    >>> by_address("ada@example.com").is_known
    False
    """
    found = _NOREPLY.fullmatch(email.strip())
    if found is None:
        return BOT if email == BOT_EMAIL else Person(email=email.strip())
    login = found["login"]
    return Person(login, int(found["id"]) if found["id"] else None, email.strip(), bot=login.endswith("[bot]"))


def commit_of(found: PullCommit, starters: Sequence[str] = ()) -> Commit:
    """Author and committer as the forge links them with accounts, and co-authors by their addresses.

    ``starters`` are trailers that name who started a coding agent.
    """
    first = found.claims[0].email if found.claims else ""
    second = found.claims[1].email if len(found.claims) > 1 else first
    own = [
        person_of(account) if account is not None else _unlinked(email)
        for account, email in ((found.author, first), (found.committer, second))
    ]
    started = tuple(by_login(value) for name in (REQUESTED, *starters) for value in values(found.message, name))
    return Commit(found.commit, tuple(dict.fromkeys([*own, *co_authors(found.message)])), started)


def by_login(value: str) -> Person:
    """Whom a trailer names: ``ada``, ``@ada`` or ``ada 583231``. Anything else is nobody known."""
    login, _, number = value.removeprefix("@").partition(" ")
    if not _ACCOUNT.fullmatch(login) or (number and not number.isdecimal()):
        return Person(email=value)
    return Person(login, int(number) if number else None, bot=login.endswith("[bot]"))


def co_authors(message: str) -> tuple[Person, ...]:
    """Whom a commit's message names as co-authors, by their addresses; who has none there is somebody unknown.

    >>> [p.email for p in co_authors("x\\n\\nCo-Authored-By : Rita\\n  <rita@example.org>\\n")]
    ['rita@example.org']
    """
    found = [*values(message, _CO_AUTHOR), *(match["value"] for match in _LINE.finditer(message))]
    return tuple(dict.fromkeys(_co_author(value) for value in found))


def _co_author(value: str) -> Person:
    email = _EMAIL.search(value)
    return by_address(email["email"]) if email else Person(email=value)


def _unlinked(email: str) -> Person:
    return BOT if email == BOT_EMAIL else Person(email=email)


def pull_of(
    place: Place, number: int, base: str, until: datetime | None = None, starters: Sequence[str] = ()
) -> Pull | Unknown:
    """The pull request with its reviews and everybody who stands behind it. Unknown when the forge does not answer.

    ``base`` is the commit of main that it is judged on. Of pushes and reviews those ``until`` then count.
    """
    ready = asked(lambda: (place.forge.pulls.get(number), place.forge.merges.readiness(number)))
    if isinstance(ready, Unknown):
        return ready
    pull, readiness = ready
    commits = asked(lambda: place.forge.merges.commits(number))
    reviews = asked(lambda: place.forge.reviews.list(number))
    wanted = [] if isinstance(commits, Unknown) else [p for c in commits for p in requested_by(c.message)]
    return Pull(
        head=readiness.head,
        author=person_of(readiness.author),
        pushers=_pushers_of(place, pull, (base, readiness.head), until),
        number=number,
        asked_by=tuple(person_of(p) for p in dict.fromkeys(wanted)),
        commits=commits if isinstance(commits, Unknown) else tuple(commit_of(c, starters) for c in commits),
        reviews=reviews if isinstance(reviews, Unknown) else tuple(_as_of(reviews, until)),
    )


def review_of(found: governed.Review) -> CountedReview:
    return CountedReview(person_of(found.person), found.state, found.commit, datetime.fromisoformat(found.time))


def _as_of(reviews: Sequence[governed.Review], until: datetime | None) -> Iterator[CountedReview]:
    """The reviews as they were then: one that was dismissed later said what it had said."""
    for one in reviews:
        later = until is not None and bool(one.dismissed and one.was) and datetime.fromisoformat(one.dismissed) > until
        found = review_of(replace(one, state=one.was) if later else one)
        if until is None or found.time <= until:
            yield found


def _pushers_of(
    place: Place, pull: PullRequest, ends: tuple[str, str], until: datetime | None
) -> tuple[Person, ...] | Unknown:
    pushes = asked(lambda: place.forge.merges.pushes(pull.head.branch, pull.head.repository))
    if isinstance(pushes, Unknown):
        return pushes
    base, head = ends
    return pushers(pushes, head, lambda commit: place.git.is_ancestor(commit, base), until)


def pushers(
    pushes: Sequence[governed.Pushed], head: str, landed: Callable[[str], bool], until: datetime | None = None
) -> tuple[Person, ...] | Unknown:
    """Everybody who moved the branch on its way from main to ``head``, of its ``pushes``, newest first.

    What is younger than ``until`` is of another branch of this name, as is what lies before a deletion. A push of what
    main has (``landed``) brought nothing. Neither who merges main into the branch nor who resets it to main hides who
    pushed before.
    """
    told = [p for p in pushes if until is None or datetime.fromisoformat(p.time) <= until]
    start = next((number for number, push in enumerate(told) if push.after == head), None)
    if start is None:
        return Unknown(f"the forge does not say who pushed {head[:8]}", later=True)
    mine = takewhile(lambda push: push.after.strip("0"), told[start:])
    return tuple(dict.fromkeys(person_of(push.by) for push in mine if not landed(push.after)))


def signed_pushers(
    heard: BelievedEvents | Unknown, number: int | None, head: str
) -> tuple[tuple[Binding, list[Any]], ...]:
    """Who pushed a head of a pull request as the gate signed it, newest first: forges forget."""
    if isinstance(heard, Unknown):
        return ()
    found = ((s.binding, s.details.get(PUSHERS)) for s in heard.all("gate", pull=number, head=head))
    return tuple((about, told) for about, told in found if isinstance(told, list) and told)


def teams_of(place: Place, policy: Policy) -> dict[str, tuple[Person, ...] | Unknown]:
    """The members of each team that a role names."""
    names = dict.fromkeys(team for role in policy.roles.values() for team in role.teams)
    return {name: _members(place, name) for name in names}


def _members(place: Place, team: str) -> tuple[Person, ...] | Unknown:
    found = asked(lambda: place.forge.people.members(team))
    if found is None:
        return Unknown(f"the token may not see who is in {team}")
    return found if isinstance(found, Unknown) else tuple(person_of(p) for p in found)


def asked(question: Callable[[], _T]) -> _T | Unknown:
    """What the forge answers, or that it does not."""
    try:
        return question()
    except GitmlError as exc:
        return Unknown(f"the forge does not say: {exc.message.splitlines()[0]}", later=True)
