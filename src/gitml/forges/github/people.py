"""Accounts, teams, and what an account may do."""

from __future__ import annotations

from gitml.forges.governed import Account
from gitml.forges.rest import Rest, Shape, absent_is_none, word
from gitml.http import HttpError


class GithubPeople:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def find(self, login: str) -> Account | None:
        with absent_is_none():
            return account(self._rest.one("GET", f"/users/{word(login)}"))
        return None

    def members(self, team: str) -> tuple[Account, ...] | None:
        organisation, _, slug = team.partition("/")
        try:
            path = f"/orgs/{word(organisation)}/teams/{word(slug)}/members"
            return tuple(account(s) for s in self._rest.pages(path))
        except HttpError as exc:
            # A job's token sees no teams, and is told 403 or 404.
            if exc.status not in (403, 404):
                raise
        return None

    def permission(self, login: str) -> str:
        with absent_is_none():
            shape = self._rest.one("GET", f"collaborators/{word(login)}/permission")
            return shape.text_or("role_name") or shape.text("permission")
        return "none"


def account(shape: Shape, *words: str) -> Account:
    """The account at ``words`` of an answer; ``Account("", 0)`` when it is gone."""
    login, number = shape.text_or(*words, "login"), shape.number_or(*words, "id")
    return Account(login, number) if login and number else Account("", 0)
