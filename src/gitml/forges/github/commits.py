"""Commits: their statuses, how they stand to each other, branches and what protects them, files."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from gitml.forges.base import Branch, Relation, State, Status
from gitml.forges.rest import Rest, Shape, absent_is_none, word
from gitml.forges.words import cut
from gitml.http import HttpError


class GithubCommits:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def statuses(self, commit: str) -> tuple[Status, ...]:
        newest: dict[str, Status] = {}
        for shape in self._rest.pages(f"commits/{commit}/statuses"):
            found = _status(shape)
            newest.setdefault(found.context, found)
        return tuple(newest.values())

    def post(self, commit: str, status: Status) -> Status:
        body: dict[str, Any] = {"context": status.context, "state": status.state.value}
        body |= {"description": cut(status.description)} if status.description else {}
        body |= {"target_url": status.url} if status.url else {}
        return _status(self._rest.one("POST", f"statuses/{commit}", body))

    def compare(self, base: str, head: str) -> Relation | None:
        with absent_is_none():
            found = self._rest.one("GET", f"compare/{word(base)}...{word(head)}", per_page="1").text("status")
            try:
                return Relation(found)
            except ValueError as exc:
                raise HttpError(f"the comparison of two commits is {found!r}, which means nothing here") from exc
        return None

    def author(self, commit: str) -> str:
        # 422: no commit found for SHA.
        with absent_is_none(422):
            return self._rest.one("GET", f"commits/{word(commit)}", per_page="1").text_or("author", "login", default="")
        return ""

    def branch(self, name: str) -> Branch | None:
        with absent_is_none():
            shape = self._rest.one("GET", f"branches/{word(name)}")
            return Branch(shape.text("name"), shape.text("commit", "sha"), shape.flag("protected"))
        return None

    def rules(self, branch: str) -> tuple[tuple[str, dict[str, object]], ...]:
        shapes = self._rest.pages(f"rules/branches/{word(branch)}")
        return tuple((s.text("type"), s.plain("parameters")) for s in shapes)

    def file(self, path: str, ref: str = "") -> bytes | None:
        with absent_is_none():
            query = {"ref": ref} if ref else {}
            shape = self._rest.one("GET", f"contents/{quote(path)}", repeatable=True, **query)
            return _content(shape, path)
        return None


def _content(shape: Shape, path: str) -> bytes:
    if shape.text_or("type") != "file" or shape.text_or("encoding") != "base64":
        raise HttpError(f"{path} is no file of at most 1 MB on the forge")
    try:
        return base64.b64decode(shape.text("content"))
    except binascii.Error as exc:
        raise HttpError(f"{path} came damaged from the forge", "try again") from exc


def _status(shape: Shape) -> Status:
    state = shape.text("state")
    return Status(
        context=shape.text("context"),
        state=State(state) if state in set(State) else State.ERROR,
        description=shape.text_or("description"),
        url=shape.text_or("target_url"),
        author=shape.text_or("creator", "login"),
        created=shape.text_or("created_at"),
    )
