"""Comments on pull requests and on commits."""

from __future__ import annotations

from dataclasses import replace

from gitml.forges.base import Comment, OnPull, Place
from gitml.forges.memory.session import Session, one_of, refused
from gitml.forges.memory.state import ForgeState

_LONGEST = 65_536


class MemoryComments:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self, place: Place) -> tuple[Comment, ...]:
        with self._session.turn() as state:
            self._check(state, place)
            return tuple(state.comments.get(place, {}).values())

    def add(self, place: Place, body: str) -> Comment:
        with self._session.turn() as state:
            self._check(state, place)
            number, now = state.number(), self._session.host.now()
            url = self._session.host.page(f"{str(place).replace(' ', '/')}#comment-{number}")
            made = Comment(number, _checked(body), self._session.login, url, now, now)
            state.comments.setdefault(place, {})[number] = made
            return made

    def edit(self, place: Place, comment: int, body: str) -> Comment | None:
        with self._session.turn() as state:
            there = state.comments.get(place, {})
            if comment not in there:
                return None
            self._own(there[comment])
            there[comment] = replace(there[comment], body=_checked(body), updated=self._session.host.now())
            return there[comment]

    def delete(self, place: Place, comment: int) -> None:
        with self._session.turn() as state:
            there = state.comments.get(place, {})
            if comment in there:
                self._own(there[comment])
                del there[comment]

    def _own(self, comment: Comment) -> None:
        if comment.author != self._session.login and not self._session.may("write"):
            raise refused(403, f"{self._session.login} may not change what {comment.author} wrote")

    def _check(self, state: ForgeState, place: Place) -> None:
        if isinstance(place, OnPull):
            one_of(state.pulls, place.number, "pull request")
        elif self._session.host.history().find(place.commit) is None:
            raise refused(422, f"no commit found for {place.commit}")


def _checked(body: str) -> str:
    if not body.strip() or len(body) > _LONGEST:
        raise refused(422, f"a comment has 1 to {_LONGEST:,} characters")
    return body
