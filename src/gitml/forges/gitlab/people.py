"""Accounts, groups as teams, and what an account may do."""

from __future__ import annotations

from gitml.forges.gitlab.words import account, role_of
from gitml.forges.governed import Account
from gitml.forges.rest import Rest, Shape, absent_is_none, word
from gitml.http import HttpError, Request

# REST names no account behind a commit; this does, where the address is one that GitLab has verified.
_AUTHOR = (
    "query($path: ID!, $ref: String!) { project(fullPath: $path) { repository { commit(ref: $ref) {"
    " authorEmail author { id username } } } } }"
)


class GitlabPeople:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._known: dict[str, Account | None] = {}

    def find(self, login: str) -> Account | None:
        found = (account(shape) for shape in self._rest.pages("/users", username=login))
        return next((one for one in found if one.login.lower() == login.lower()), None)

    def members(self, team: str) -> tuple[Account, ...] | None:
        """Those of the group itself: whoever owns a group above it is not asked for the same."""
        try:
            shapes = list(self._rest.pages(f"/groups/{word(team)}/members"))
        except HttpError as exc:
            if exc.status not in (401, 403, 404):
                raise
            return None
        return tuple(account(s) for s in shapes if s.text_or("state", default="active") == "active")

    def permission(self, login: str) -> str:
        found = self.find(login)
        if found is None:
            return "none"
        with absent_is_none():
            return role_of(self._rest.one("GET", f"members/all/{found.id}").number("access_level"))
        return "read" if self._rest.one("GET", "").text_or("visibility") == "public" else "none"

    def of_address(self, email: str, commit: str) -> Account | None:
        """Whose an address is that ``commit`` names as its author's; None where the forge does not link it."""
        if email not in self._known:
            told, found = self._linked(commit)
            self._known[told] = found
        return self._known.get(email)

    def _linked(self, commit: str) -> tuple[str, Account | None]:
        address = f"{self._rest.http.address.removesuffix('/v4')}/graphql"
        asked = {"query": _AUTHOR, "variables": {"path": self._rest.repository, "ref": commit}}
        answer = Shape(self._rest.http.send(Request("POST", address, {}, asked)).value, "POST graphql")
        where = ("data", "project", "repository", "commit")
        number = answer.text_or(*where, "author", "id").rpartition("/")[2]
        login = answer.text_or(*where, "author", "username")
        return answer.text_or(*where, "authorEmail"), Account(login, int(number)) if number.isdecimal() else None

    def of_committer(self, email: str) -> Account | None:
        """Whose an address is that a person shows to everybody, or that a commit was linked with before."""
        if email not in self._known:
            found = [s for s in self._rest.pages("/users", search=email) if s.text_or("public_email") == email]
            self._known[email] = account(found[0]) if len(found) == 1 else None
        return self._known[email]
