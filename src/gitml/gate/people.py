"""Who stands behind a pull request and behind a version, as the forge knows them.

An account counts, not what a commit says of itself: anybody can write any name there. Who is not known stays unknown,
and policy then trusts no approval.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from gitml.control.change import requested_by
from gitml.control.place import BOT_EMAIL, BOT_NAME, Place
from gitml.errors import GitmlError
from gitml.forges import governed
from gitml.forges.base import PullRequest
from gitml.forges.governed import PullCommit
from gitml.gates.facts import Commit, Person, Unknown
from gitml.policy.facts import CountedReview, Pull
from gitml.spec.policy import Policy

BOT = Person(f"{BOT_NAME}[bot]", email=BOT_EMAIL, bot=True)
_NOREPLY = re.compile(r"(?:(?P<id>\d+)\+)?(?P<login>[A-Za-z0-9][A-Za-z0-9-]*(?:\[bot\])?)@users\.noreply\.[a-z0-9.-]+")
CO_AUTHOR = re.compile(r"^co-authored-by:.*<(?P<email>[^>\n]+)>[ \t]*$", re.I | re.M)
_T = TypeVar("_T")


def person_of(account: governed.Account) -> Person:
    """An account as policy sees it. Logins of apps end in ``[bot]``; one that is gone is nobody."""
    return Person(account.login, account.id or None, bot=account.login.endswith("[bot]"))


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


def commit_of(found: PullCommit) -> Commit:
    """Author and committer as the forge links them with accounts, and co-authors by their addresses."""
    first = found.claims[0].email if found.claims else ""
    second = found.claims[1].email if len(found.claims) > 1 else first
    own = [
        person_of(account) if account is not None else _unlinked(email)
        for account, email in ((found.author, first), (found.committer, second))
    ]
    more = [by_address(match["email"]) for match in CO_AUTHOR.finditer(found.message)]
    return Commit(found.commit, tuple(dict.fromkeys([*own, *more])))


def _unlinked(email: str) -> Person:
    return BOT if email == BOT_EMAIL else Person(email=email)


def pull_of(place: Place, number: int) -> Pull | Unknown:
    """The pull request with its reviews and everybody who stands behind it. Unknown when the forge does not answer."""
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
        last_pusher=_last_pusher(place, pull, readiness.head),
        number=number,
        asked_by=tuple(person_of(p) for p in dict.fromkeys(wanted)),
        commits=commits if isinstance(commits, Unknown) else tuple(commit_of(c) for c in commits),
        reviews=reviews if isinstance(reviews, Unknown) else tuple(review_of(r) for r in reviews),
    )


def review_of(found: governed.Review) -> CountedReview:
    return CountedReview(person_of(found.person), found.state, found.commit, datetime.fromisoformat(found.time))


def _last_pusher(place: Place, pull: PullRequest, head: str) -> Person | Unknown:
    pushes = asked(lambda: place.forge.merges.pushes(pull.head.branch, pull.head.repository))
    if isinstance(pushes, Unknown):
        return pushes
    # A merged branch may be gone by now; what counts is who brought it to its head.
    last = next((p for p in pushes if p.after.strip("0")), None)
    if last is None or last.after != head:
        return Unknown(f"the forge does not say who pushed {head[:8]}")
    return person_of(last.by)


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
        return Unknown(f"the forge does not say: {exc.message.splitlines()[0]}")
