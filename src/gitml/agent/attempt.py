"""Attempts to bring a change into service, counted on disk for each commit and file, and ends of the server's process,
counted for each artifact that it was calling: after each of them a longer wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.agent.source import Moved
from gitml.agent.state import AgentState, Attempt, Crash, moment, stamp
from gitml.spec.deployment import Deployment, Pin


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


# Whoever brings down everything else is not tried often: after a minute, two, four, up to a day.
_CRASHED = Backoff(first=60.0, longest=86_400.0)


def blamed(state: AgentState, digest: str, others: Sequence[str]) -> bool:
    """Whether an artifact is held to have ended the process, of all that were being called at that moment.

    One that is busy all the time is there whenever another one ends the process. So who never was there before is not
    blamed beside one that was; and of those that were, the one is that came back last: the others have answered since.
    """
    suspects = [state.crashes[one] for one in (digest, *others) if one in state.crashes]
    mine = state.crashes.get(digest)
    return not suspects or (mine is not None and mine.back == max(one.back for one in suspects))


def crashed(state: AgentState, digest: str, reason: str, now: datetime, others: Sequence[str] = ()) -> AgentState:
    """One end more. Of ``others`` that were being called as well, some come back later, so that it shows who it was."""
    before = state.crashes.get(digest)
    later = 1 if before is None and sorted((digest, *others)).index(digest) % 2 else 0
    crash = Crash(count=before.count + 1 if before else 1 + later, last=stamp(now), reason=reason, away=True)
    return state.model_copy(update={"crashes": {**state.crashes, digest: crash}})


def back(state: AgentState, digest: str, now: datetime) -> AgentState:
    """It answers again, and that was told."""
    returned = state.crashes[digest].model_copy(update={"away": False, "back": stamp(now)})
    return state.model_copy(update={"crashes": {**state.crashes, digest: returned}})


def why_barred(state: AgentState, pin: Pin, now: datetime) -> str:
    """Why an artifact is not loaded now; '' where nothing stands in its way."""
    crash = state.crashes.get(pin.digest)
    if crash is None:
        return ""
    last, wait = moment(crash.last), _CRASHED.after(crash.count)
    if not last <= now < last + wait:
        return ""
    return f"{crash.reason}, {crash.count} times by now; it is loaded again at {stamp(last + wait)}"


def spared(state: AgentState, deployment: Deployment, now: datetime) -> tuple[Deployment, str]:
    """The deployment without a canary and shadows that are barred, and why. The champion's units are everybody then."""
    reasons = {pin.version: why_barred(state, pin, now) for pin in deployment.pins[1:]}
    canary = deployment.canary
    without = {
        "canary": canary if canary and not reasons[canary.version] else None,
        "shadow": tuple(pin for pin in deployment.shadow if not reasons[pin.version]),
    }
    told = "; ".join(reason for reason in reasons.values() if reason)
    return (deployment.model_copy(update=without), told) if told else (deployment, "")
