"""Comments: notes on merge requests, discussions on commits."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gitml.forges.base import Comment, OnPull, Place
from gitml.forges.gitlab.words import utc
from gitml.forges.rest import Rest, Shape, absent_is_none
from gitml.http import UnsureError

_TRIES = 3


class GitlabComments:
    """``home`` is the page of the project. A comment on a commit is the first note of a discussion of its own."""

    def __init__(self, rest: Rest, home: str) -> None:
        self._rest, self._home = rest, home

    def list(self, place: Place) -> tuple[Comment, ...]:
        return tuple(sorted((self._comment(place, note) for note in self._notes(place)), key=lambda c: c.id))

    def _notes(self, place: Place) -> Sequence[Shape]:
        """What people wrote: GitLab itself writes notes, too."""
        if isinstance(place, OnPull):
            found = [*self._rest.pages(_all(place))]
        else:
            found = [note for talk in self._rest.pages(_all(place)) for note in talk.objects("notes")]
        return [note for note in found if not note.flag("system")]

    def add(self, place: Place, body: str) -> Comment:
        for tries in range(1, _TRIES + 1):
            try:
                made = self._rest.one("POST", _all(place), {"body": body}, repeatable=False)
                return self._comment(place, made if isinstance(place, OnPull) else made.objects("notes")[0])
            except UnsureError as exc:
                # The answer was lost, not necessarily the comment; the server may still be at work on it.
                time.sleep(max(exc.after, self._rest.http.patience.wait(tries)))
                same = [c for c in self.list(place) if c.body.strip() == body.replace("\r\n", "\n").strip()]
                if same:
                    return same[-1]
                if tries == _TRIES:
                    raise
        raise AssertionError

    def edit(self, place: Place, comment: int, body: str) -> Comment | None:
        path = self._one(place, comment)
        with absent_is_none():
            if path:
                return self._comment(place, self._rest.one("PUT", path, {"body": body}))
        return None

    def delete(self, place: Place, comment: int) -> None:
        path = self._one(place, comment)
        with absent_is_none():
            if path:
                self._rest.call("DELETE", path)

    def _one(self, place: Place, comment: int) -> str:
        """The path of a note; empty when it is gone."""
        if isinstance(place, OnPull):
            return f"{_all(place)}/{comment}"
        for talk in self._rest.pages(_all(place)):
            if any(note.number("id") == comment for note in talk.objects("notes")):
                return f"{_all(place)}/{talk.text('id')}/notes/{comment}"
        return ""

    def _comment(self, place: Place, shape: Shape) -> Comment:
        number = shape.number("id")
        kind = f"merge_requests/{place.number}" if isinstance(place, OnPull) else f"commit/{place.commit}"
        return Comment(
            id=number,
            body=shape.text_or("body").replace("\r\n", "\n"),
            author=shape.text_or("author", "username"),
            url=f"{self._home}/-/{kind}#note_{number}",
            created=utc(shape.text_or("created_at")),
            updated=utc(shape.text_or("updated_at")),
        )


def _all(place: Place) -> str:
    if isinstance(place, OnPull):
        return f"merge_requests/{place.number}/notes"
    return f"repository/commits/{place.commit}/discussions"
