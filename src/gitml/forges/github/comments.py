"""Comments on pull requests and on commits."""

from __future__ import annotations

import time

from gitml.forges.base import Comment, OnPull, Place
from gitml.forges.rest import Rest, Shape
from gitml.http import HttpError, UnsureError

_TRIES = 3


class GithubComments:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def list(self, place: Place) -> tuple[Comment, ...]:
        return tuple(sorted((_comment(s) for s in self._rest.pages(_all(place))), key=lambda c: c.id))

    def add(self, place: Place, body: str) -> Comment:
        for tries in range(1, _TRIES + 1):
            try:
                return _comment(self._rest.one("POST", _all(place), {"body": body}, repeatable=False))
            except UnsureError as exc:
                # The answer was lost, not necessarily the comment; the server may still be at work on it.
                time.sleep(max(exc.after, self._rest.http.patience.wait(tries)))
                same = [c for c in self.list(place) if _alike(c.body, body)]
                if same:
                    return same[-1]
                if tries == _TRIES:
                    raise
        raise AssertionError

    def edit(self, place: Place, comment: int, body: str) -> Comment | None:
        try:
            return _comment(self._rest.one("PATCH", _one(place, comment), {"body": body}))
        except HttpError as exc:
            if exc.status in (404, 410):
                return None
            raise

    def delete(self, place: Place, comment: int) -> None:
        try:
            self._rest.call("DELETE", _one(place, comment))
        except HttpError as exc:
            if exc.status not in (404, 410):
                raise


def _all(place: Place) -> str:
    return f"issues/{place.number}/comments" if isinstance(place, OnPull) else f"commits/{place.commit}/comments"


def _one(place: Place, comment: int) -> str:
    return f"issues/comments/{comment}" if isinstance(place, OnPull) else f"comments/{comment}"


def _alike(one: str, other: str) -> bool:
    """Whether two bodies are the same but for the line ends that a forge may change."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _comment(shape: Shape) -> Comment:
    return Comment(
        id=shape.number("id"),
        body=shape.text_or("body"),
        author=shape.text_or("user", "login"),
        url=shape.text("html_url"),
        created=shape.text_or("created_at"),
        updated=shape.text_or("updated_at"),
    )
