"""Reviews: those handed in, and who is asked for one."""

from __future__ import annotations

from dataclasses import replace

from gitml.forges.governed import Asked, Review, Reviewers
from gitml.forges.memory.session import Session, one_of
from gitml.forges.memory.state import ForgeState, PullRecord
from gitml.forges.words import of_organisation


class MemoryReviews:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self, number: int) -> tuple[Review, ...]:
        with self._session.turn() as state:
            one_of(state.pulls, number, "pull request")
            return tuple(record.review for record in state.reviews.get(number, {}).values())

    def asked(self, number: int) -> Reviewers:
        with self._session.turn() as state:
            return one_of(state.pulls, number, "pull request").asked

    def ask(self, number: int, wanted: Reviewers) -> Asked:
        with self._session.turn("write") as state:
            record = one_of(state.pulls, number, "pull request")
            people = {login: _why_not(state, record, login) for login in wanted.people}
            teams = {team: _why_no_team(state, team) for team in wanted.teams}
            done = Reviewers(_taken(people), _taken(teams))
            asked = Reviewers(
                tuple(
                    dict.fromkeys(
                        (*record.asked.people, *(state.accounts[p.lower()].person.login for p in done.people))
                    )
                ),
                tuple(dict.fromkeys((*record.asked.teams, *done.teams))),
            )
            state.pulls[number] = replace(record, asked=asked)
            return Asked(done, {name: why for name, why in {**people, **teams}.items() if why})


def _taken(asked: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name, why in asked.items() if not why)


def _why_not(state: ForgeState, record: PullRecord, login: str) -> str:
    account = state.account(login)
    if account is not None and account.person == record.author:
        return "is the author of the pull request"
    known = account is not None and (login.lower() in state.roles or state.may(login, "triage"))
    return "" if known else f"is not a collaborator of {state.repository}"


def _why_no_team(state: ForgeState, team: str) -> str:
    is_there = of_organisation(team, state.owner) and team.lower() in state.teams
    return "" if is_there else f"is no team of {state.owner}"
