"""Reviews: those handed in, and who is asked for one."""

from __future__ import annotations

from dataclasses import replace

from gitml.forges.github.people import account
from gitml.forges.governed import Asked, Review, Reviewers
from gitml.forges.rest import Rest, Shape
from gitml.forges.words import of_organisation
from gitml.http import HttpError

_DISMISSED, _EVENT = "DISMISSED", "review_dismissed"


class GithubReviews:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def list(self, number: int) -> tuple[Review, ...]:
        found = [_review(s) for s in self._rest.pages(f"pulls/{number}/reviews")]
        gone = self._dismissed(number) if any(r.state == _DISMISSED for r in found) else {}
        told = (_with(r, gone.get(r.id)) for r in found if r.state != "PENDING")
        return tuple(sorted(told, key=lambda r: (r.time, r.id)))

    def _dismissed(self, number: int) -> dict[int, Shape]:
        """The events by the review's number: only the timeline says when. A token may not see it."""
        try:
            events = [s for s in self._rest.pages(f"issues/{number}/timeline") if s.text_or("event") == _EVENT]
        except HttpError as exc:
            if exc.status not in (403, 404):
                raise
            return {}
        return {event.number("dismissed_review", "review_id"): event for event in events}

    def asked(self, number: int) -> Reviewers:
        return self._reviewers(self._rest.one("GET", f"pulls/{number}/requested_reviewers"))

    def _reviewers(self, shape: Shape) -> Reviewers:
        people = tuple(s.text("login") for s in shape.objects("users"))
        owner = self._rest.repository.partition("/")[0]
        return Reviewers(people, tuple(f"{owner}/{s.text('slug')}" for s in shape.objects("teams")))

    def ask(self, number: int, wanted: Reviewers) -> Asked:
        owner = self._rest.repository.partition("/")[0].lower()
        foreign = {t: f"is no team of {owner}" for t in wanted.teams if not of_organisation(t, owner)}
        usable = Reviewers(wanted.people, tuple(t for t in wanted.teams if t not in foreign))
        if not usable.people and not usable.teams:
            return Asked(Reviewers(), foreign)
        refused = self._refused(number, usable)
        if refused is None:
            return Asked(usable, foreign)
        # One who may not be asked makes the forge refuse all of them.
        people = {login: self._refused(number, Reviewers(people=(login,))) for login in usable.people}
        teams = {team: self._refused(number, Reviewers(teams=(team,))) for team in usable.teams}
        done = Reviewers(tuple(p for p, why in people.items() if why is None), tuple(t for t in teams if not teams[t]))
        return Asked(done, {**foreign, **{name: why for name, why in {**people, **teams}.items() if why}})

    def _refused(self, number: int, who: Reviewers) -> str | None:
        """Why the forge refuses to ask them, None when it did ask."""
        slugs = [team.partition("/")[2] for team in who.teams]
        body = {"reviewers": list(who.people), "team_reviewers": slugs}
        try:
            self._rest.call("POST", f"pulls/{number}/requested_reviewers", body)
        except HttpError as exc:
            if exc.status not in (404, 422):
                raise
            return exc.message.rpartition(": ")[2] or exc.message
        return None


def _review(shape: Shape) -> Review:
    return Review(
        id=shape.number("id"),
        person=account(shape, "user"),
        state=shape.text("state"),
        commit=shape.text_or("commit_id"),
        time=shape.text_or("submitted_at"),
        url=shape.text_or("html_url"),
    )


def _with(review: Review, event: Shape | None) -> Review:
    if event is None:
        return review
    return replace(review, dismissed=event.text("created_at"), was=event.text("dismissed_review", "state").upper())
