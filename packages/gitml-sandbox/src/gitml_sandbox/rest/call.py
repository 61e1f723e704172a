"""One REST request as its handler sees it, and what the handler answers. No HTTP library here."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from gitml_sandbox.forge.auth import Caller
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.tokens import Token

Row = TypeVar("Row")
MAX_PAGE = 100


class Body(BaseModel):
    """A request body: types are strict, keys that we do not know are ignored, as GitHub does."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    def given(self) -> dict[str, Any]:
        """Only what the client sent."""
        return self.model_dump(exclude_unset=True)


@dataclass(frozen=True)
class Call:
    """A request whose caller may do what it asks. ``path`` holds the words of the URL, ``query`` the first of each."""

    sandbox: Sandbox
    tx: sqlite3.Connection | None
    caller: Caller | None
    repo_: Repo | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    body_: Body | None
    url: str
    accept: str
    method: str = "GET"

    @property
    def view(self) -> View:
        if self.tx is None:
            raise RuntimeError("this operation has no transaction of its own")
        return View(self.sandbox, self.tx, self.caller.user.id if self.caller else None)

    @property
    def repo(self) -> Repo:
        if self.repo_ is None:
            raise not_found()
        return self.repo_

    @property
    def by(self) -> Actor:
        if self.caller is None:
            raise RefusalError(401, "Requires authentication")
        return self.caller.actor

    @property
    def by_job(self) -> bool:
        return self.by.token_kind == "job"  # noqa: S105

    @property
    def by_person(self) -> bool:
        return self.by.token_kind == "user"  # noqa: S105

    def body(self, kind: type[Row]) -> Row:
        return cast(Row, self.body_)

    def number(self, name: str) -> int:
        """An id from the URL; what is none names nothing."""
        word = self.path[name]
        if not word.isascii() or not word.isdigit() or len(word) > 18:
            raise not_found()
        return int(word)

    def wants(self, kind: str) -> bool:
        """Whether the client accepts GitHub's media type of that kind: 'raw', 'diff', 'patch', 'sha', 'object'."""
        return any(f".{kind}" in part and "application/vnd.github" in part for part in self.accept.split(","))


@dataclass(frozen=True)
class Reply:
    """``body`` is JSON, or bytes of ``media``; ``after`` runs when the answer has left."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json; charset=utf-8"
    after: Callable[[], None] | None = None


def created(body: Any) -> Reply:
    """201 with the place of what was made."""
    return Reply(body, 201, {"Location": str(body["url"])})


def text(body: str | bytes, media: str) -> Reply:
    return Reply(body.encode(errors="replace") if isinstance(body, str) else body, media=media)


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Operation:
    """One row of the table of routes.

    ``scope`` (``a|b``: one of them) and ``level`` are what a limited token needs; ``role`` what a person needs in the
    repository. ``tx`` is 'read', 'write' (committed before the answer), or 'none' for what moves refs and has
    transactions of its own.
    """

    method: str
    path: str
    handler: Handler
    scope: str = "metadata"
    role: str = "read"
    tx: str = "read"
    body: type[Body] | None = None
    login: bool = False

    @property
    def level(self) -> str:
        return "read" if self.method == "GET" else "write"

    def within(self, token: Token, repo_id: int | None = None) -> bool:
        """Whether the token itself permits it."""
        return any(token.allows(scope, self.level, repo_id) for scope in self.scope.split("|"))

    @property
    def writes(self) -> bool:
        return self.method != "GET"


def page_bounds(call: Call) -> tuple[int, int]:
    """Page and size as asked, in GitHub's bounds; nonsense is the default."""

    def positive(name: str, default: int) -> int:
        word = call.query.get(name, "")
        return max(int(word), 1) if word.isascii() and word.isdigit() and len(word) < 10 else default

    return positive("page", 1), min(positive("per_page", 30), MAX_PAGE)


def paged(call: Call, rows: Sequence[Row], show: Callable[[Row], Any], wrap: str = "") -> Reply:
    """One page of the rows with a Link header; ``wrap`` names the list inside an object with total_count."""
    page, size = page_bounds(call)
    shown = [show(row) for row in rows[(page - 1) * size : page * size]]
    last = max(-(-len(rows) // size), 1)
    body = {"total_count": len(rows), wrap: shown} if wrap else shown
    return Reply(body, headers=_link(call, page, last))


def _link(call: Call, page: int, last: int) -> dict[str, str]:
    numbers = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    wanted = [("prev", page > 1), ("next", page < last), ("last", page < last), ("first", page > 1)]
    parts = [
        f'<{call.url}?{urlencode({**call.query, "page": numbers[rel]})}>; rel="{rel}"' for rel, there in wanted if there
    ]
    return {"Link": ", ".join(parts)} if parts else {}
