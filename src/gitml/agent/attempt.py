"""Attempts to bring a change into service: counted on disk for each commit and file, with longer and longer waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.agent.source import Moved
from gitml.agent.state import AgentState, Attempt, moment, stamp


@dataclass(frozen=True)
class Backoff:
    """Seconds before the second try, doubled each time, up to ``longest``."""

    first: float = 15.0
    longest: float = 1800.0

    def after(self, failures: int) -> timedelta:
        return timedelta(seconds=min(self.longest, self.first * 2.0 ** min(failures - 1, 30)))


def begun(previous: Attempt | None, change: Moved, now: datetime) -> Attempt:
    """Counted as a failure until it is over well: a process that dies in between does not get to say so."""
    again = previous is not None and (previous.commit, previous.blob) == (change.commit, change.new)
    before = previous.failures if previous is not None and again else 0
    return Attempt(commit=change.commit, blob=change.new, started=stamp(now), failures=before + 1, over=False)


def failed(attempt: Attempt, reason: str) -> Attempt:
    return attempt.model_copy(update={"over": True, "reason": reason})


def after_restart(state: AgentState) -> AgentState:
    """Attempts that no process ended are over: it was killed, perhaps by what it loaded."""
    for model, attempt in state.attempts.items():
        if not attempt.over:
            state = state.with_attempt(model, failed(attempt, "the agent ended while it loaded this"))
    return state


def next_try(attempt: Attempt | None, change: Moved, backoff: Backoff, now: datetime) -> datetime | None:
    """When this change may be tried again; None: now. Another commit or file is tried at once.

    A clock that was set back does not make anybody wait longer than the wait itself.
    """
    if attempt is None or (attempt.commit, attempt.blob) != (change.commit, change.new) or not attempt.failures:
        return None
    began, wait = moment(attempt.started), backoff.after(attempt.failures)
    return began + wait if began <= now < began + wait else None
