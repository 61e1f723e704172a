"""Reviews: approvals and requests for changes, and who is asked for one.

GitLab says who approves now, and not which commit they saw. What it wrote down at the time says when, and the versions
of the merge request say what its head was then. What happened in the moment of a push is counted to the commit before.
https://docs.gitlab.com/api/merge_request_approvals/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gitml.forges.gitlab.people import GitlabPeople
from gitml.forges.gitlab.words import account, moment, utc
from gitml.forges.governed import Account, Asked, Review, Reviewers
from gitml.forges.rest import Rest, Shape

# Notes that GitLab itself writes, whole; nobody else can write one that is marked as the system's.
_APPROVED, _UNAPPROVED, _CHANGES = "approved this merge request", "unapproved this merge request", "requested changes"
_STATES = {_APPROVED: "APPROVED", _CHANGES: "CHANGES_REQUESTED"}


@dataclass(frozen=True)
class _Head:
    commit: str
    since: datetime


class GitlabReviews:
    def __init__(self, rest: Rest, people: GitlabPeople, home: str) -> None:
        self._rest, self._people, self._home = rest, people, home

    def list(self, number: int) -> tuple[Review, ...]:
        heads = self._heads(number)
        notes = [n for n in self._rest.pages(f"merge_requests/{number}/notes") if n.flag("system")]
        notes.sort(key=lambda n: (moment(n.text("created_at")), n.number("id")))
        found: list[Review] = []
        for note in notes:
            said, who = note.text_or("body"), account(note, "author")
            if said == _UNAPPROVED:
                found = [_dismissed(r, note) if _stands(r, who) else r for r in found]
            elif said in _STATES:
                found.append(self._review(number, note, who, heads))
        return tuple(self._counted(number, found))

    def _review(self, number: int, note: Shape, who: Account, heads: Sequence[_Head]) -> Review:
        at = moment(note.text("created_at"))
        commit = next((head.commit for head in reversed(heads) if head.since < at), "")
        url = f"{self._home}/-/merge_requests/{number}#note_{note.number('id')}"
        return Review(note.number("id"), who, _STATES[note.text("body")], commit, utc(note.text("created_at")), url)

    def _counted(self, number: int, found: Sequence[Review]) -> Iterator[Review]:
        """Of approvals those that GitLab still counts: a push may have taken them away without a word."""
        shapes = self._rest.one("GET", f"merge_requests/{number}/approvals").objects("approved_by")
        approving = {account(shape, "user").id for shape in shapes}
        for review in found:
            gone = review.state == "APPROVED" and review.person.id not in approving
            yield replace(review, state="DISMISSED", was="APPROVED") if gone else review

    def _heads(self, number: int) -> Sequence[_Head]:
        """The heads that it had, oldest first."""
        shapes = self._rest.pages(f"merge_requests/{number}/versions")
        found = [_Head(s.text("head_commit_sha"), moment(s.text("created_at"))) for s in shapes]
        return sorted(found, key=lambda head: head.since)

    def asked(self, number: int) -> Reviewers:
        shapes = self._rest.pages(f"merge_requests/{number}/reviewers")
        waiting = ("unreviewed", "review_started", "unapproved")
        return Reviewers(tuple(s.text("user", "username") for s in shapes if s.text_or("state") in waiting))

    def ask(self, number: int, wanted: Reviewers) -> Asked:
        skipped = dict.fromkeys(wanted.teams, "is a group, and GitLab asks people alone")
        shape = self._rest.one("GET", f"merge_requests/{number}")
        there = {a.id: a.login for s in shape.objects("reviewers") if (a := account(s)).id}
        asked = dict(there)
        for login in wanted.people:
            why, person = self._why_not(login, account(shape, "author"))
            if person is None:
                skipped[login] = why
            else:
                asked[person.id] = person.login
        if asked.keys() == there.keys():
            return Asked(Reviewers(tuple(p for p in wanted.people if p not in skipped)), skipped)
        answer = self._rest.one("PUT", f"merge_requests/{number}", {"reviewer_ids": sorted(asked)})
        return self._taken(wanted, skipped, {account(s).login.lower() for s in answer.objects("reviewers")})

    def _taken(self, wanted: Reviewers, skipped: Mapping[str, str], taken: set[str]) -> Asked:
        """Free takes one reviewer, without a word about the others."""
        asked = [login for login in wanted.people if login not in skipped]
        left = {p: "was left out: this tier of GitLab takes one reviewer" for p in asked if p.lower() not in taken}
        return Asked(Reviewers(tuple(p for p in asked if p not in left)), {**skipped, **left})

    def _why_not(self, login: str, author: Account) -> tuple[str, Account | None]:
        person = self._people.find(login)
        if person is None:
            return "is no account", None
        if person == author:
            return "is the author of the merge request", None
        if self._people.permission(login) in ("none", "read", "triage"):
            return "is no collaborator who may approve: make them a Developer", None
        return "", person


def _stands(review: Review, who: Account) -> bool:
    return review.person == who and review.state == "APPROVED"


def _dismissed(review: Review, note: Shape) -> Review:
    return replace(review, state="DISMISSED", was=review.state, dismissed=utc(note.text("created_at")))
