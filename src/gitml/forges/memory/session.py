"""One account at the forge: what it may do, and its turn to do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from gitml.forges.governed import Account
from gitml.forges.memory.host import Host
from gitml.forges.memory.moves import notice
from gitml.forges.memory.state import ForgeState, noreply
from gitml.git.edit import Who
from gitml.http import HttpError

T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """``is_job``: with the token of a job, which writes to the repository, and is nobody's."""

    host: Host
    login: str
    is_job: bool = False

    @property
    def person(self) -> Account:
        return self.host.person(self.login)

    @property
    def who(self) -> Who:
        """How the forge signs commits that it makes for this account."""
        return identity(self.host.state, self.person)

    @contextmanager
    def turn(self, role: str = "read") -> Iterator[ForgeState]:
        """The state, for this account alone until the block ends. Raises HttpError 403 when it may not do as much."""
        with self.host.lock:
            notice(self.host, self.person)
            if not self.may(role):
                raise refused(403, f"{self.login} needs to be {role} in {self.host.state.repository}")
            yield self.host.state

    def may(self, role: str) -> bool:
        return role != "admin" if self.is_job else self.host.state.may(self.login, role)


def identity(state: ForgeState, person: Account) -> Who:
    account = state.account(person.login)
    emails = account.emails if account else ()
    return Who(person.login, next(iter(emails), noreply(person)))


def refused(status: int, why: str) -> HttpError:
    """The forge's answer in the form in which clients hear of it from others, with the number that GitHub gives it."""
    return HttpError(f"the forge answers {status}: {why}", status=status)


def one_of(things: Mapping[int, T], number: int, what: str) -> T:
    """Raises HttpError 404 for what is not there."""
    if number not in things:
        raise refused(404, f"there is no {what} {number}")
    return things[number]
