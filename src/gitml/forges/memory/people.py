"""Accounts, teams, and what an account may do."""

from __future__ import annotations

from gitml.forges.governed import Account
from gitml.forges.memory.session import Session


class MemoryPeople:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, login: str) -> Account | None:
        with self._session.turn("none") as state:
            account = state.account(login)
            return account.person if account else None

    def members(self, team: str) -> tuple[Account, ...] | None:
        """Members of the organisation see them: a job and a stranger do not."""
        with self._session.turn("none") as state:
            organisation = state.organisations.get(team.partition("/")[0].lower(), ())
            if self._session.is_job or self._session.login.lower() not in organisation:
                return None
            logins = state.teams.get(team.lower())
            return None if logins is None else tuple(self._session.host.person(login) for login in logins)

    def permission(self, login: str) -> str:
        with self._session.turn("write") as state:
            return state.role(login) if state.account(login) else "none"
