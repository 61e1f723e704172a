"""Commits: their statuses, how they stand to each other, branches and what protects them, files."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gitml.forges.base import Branch, Relation, State, Status
from gitml.forges.gitlab.guards import GitlabGuards
from gitml.forges.gitlab.people import GitlabPeople
from gitml.forges.gitlab.words import utc
from gitml.forges.rest import Rest, Shape, absent_is_none, word
from gitml.forges.words import cut
from gitml.http import HttpError

# What is an error elsewhere is no state here; it stands in the way as a failure does.
_POSTED = {State.PENDING: "pending", State.SUCCESS: "success", State.FAILURE: "failed", State.ERROR: "canceled"}
_STATES = {
    "success": State.SUCCESS,
    "failed": State.FAILURE,
    **dict.fromkeys(("created", "waiting_for_resource", "preparing", "pending", "running", "scheduled"), State.PENDING),
}


class GitlabCommits:
    def __init__(self, rest: Rest, people: GitlabPeople, guards: GitlabGuards) -> None:
        self._rest, self._people, self._guards = rest, people, guards

    def statuses(self, commit: str) -> tuple[Status, ...]:
        """Jobs of pipelines are among them: GitLab does not keep them apart."""
        newest: dict[str, tuple[int, Status]] = {}
        for shape in self._rest.pages(f"repository/commits/{commit}/statuses"):
            number, found = shape.number("id"), _status(shape)
            if number > newest.get(found.context, (0, found))[0]:
                newest[found.context] = (number, found)
        return tuple(found for _, found in newest.values())

    def post(self, commit: str, status: Status) -> Status:
        body: dict[str, Any] = {"name": status.context, "state": _POSTED[status.state]}
        body |= {"description": cut(status.description)} if status.description else {}
        body |= {"target_url": status.url} if status.url else {}
        try:
            return _status(self._rest.one("POST", f"statuses/{commit}", body))
        except HttpError as exc:
            # One that waits already cannot be told to wait: https://gitlab.com/gitlab-org/gitlab/-/issues/27094
            if exc.status != 400 or "transition" not in exc.message:
                raise
            same = [s for s in self.statuses(commit) if (s.context, s.state) == (status.context, status.state)]
            if not same:
                raise
            return same[0]

    def compare(self, base: str, head: str) -> Relation | None:
        one, two = self._id(base), self._id(head)
        if one is None or two is None:
            return None
        if one == two:
            return Relation.SAME
        with absent_is_none():
            found = self._rest.one("GET", f"repository/merge_base?refs[]={one}&refs[]={two}").text("id")
            return {one: Relation.AHEAD, two: Relation.BEHIND}.get(found, Relation.DIVERGED)
        return Relation.DIVERGED

    def _id(self, name: str) -> str | None:
        with absent_is_none():
            return self._rest.one("GET", f"repository/commits/{word(name)}").text("id")
        return None

    def author(self, commit: str) -> str:
        with absent_is_none():
            email = self._rest.one("GET", f"repository/commits/{word(commit)}").text_or("author_email")
            found = self._people.of_address(email, commit)
            return found.login if found else ""
        return ""

    def branch(self, name: str) -> Branch | None:
        with absent_is_none():
            shape = self._rest.one("GET", f"repository/branches/{word(name)}")
            return Branch(shape.text("name"), shape.text("commit", "id"), shape.flag("protected"))
        return None

    def rules(self, branch: str) -> tuple[tuple[str, dict[str, object]], ...]:
        there = self._guards.protection(branch)
        if there is None:
            return ()
        found: list[tuple[str, dict[str, object]]] = [("deletion", {})]
        found += [] if there.may_rewrite else [("non_fast_forward", {})]
        found += [("pull_request", {"required_approving_review_count": there.approvals})] if there.pull_request else []
        return tuple(found)

    def file(self, path: str, ref: str = "") -> bytes | None:
        with absent_is_none():
            shape = self._rest.one("GET", f"repository/files/{word(path)}", ref=ref or "HEAD")
            try:
                return base64.b64decode(shape.text_or("content"), validate=True)
            except binascii.Error as exc:
                raise HttpError(f"{path} came damaged from the forge", "try again") from exc
        return None


def _status(shape: Shape) -> Status:
    return Status(
        context=shape.text("name"),
        state=_STATES.get(shape.text("status"), State.ERROR),
        description=shape.text_or("description"),
        url=shape.text_or("target_url"),
        author=shape.text_or("author", "username"),
        created=utc(shape.text_or("created_at")),
    )
