"""When an agent tells what: once for each change that it applied, failed to apply, or that a local pin made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from gitml.agent import attempt as tries
from gitml.agent.failures import SAID, Failure
from gitml.agent.pin import LocalPin
from gitml.agent.report import DeploymentsPage, News, Outbox, statement_of
from gitml.agent.source import MAIN_REF, Mirror, Moved
from gitml.agent.state import AgentState, Applied, Attempt, Stop, agent_name, stamp
from gitml.agent.trust import Trusted
from gitml.errors import GitmlError, SpecError
from gitml.evidence.keys import SigningKey
from gitml.evidence.served import KIND as SERVED
from gitml.evidence.statement import Binding, Statement
from gitml.spec.deployment import Deployment, Pin, parse_deployment


@dataclass
class Reporter:
    """Tells the outbox and the forge. Without a ``key`` nothing is signed, without a ``page`` no forge is told.

    What the forge did not take is told again in the next round; of old news only the newest of each model.
    """

    environment: str
    repository: str
    mirror: Mirror
    outbox: Outbox
    key: SigningKey | None = None
    page: DeploymentsPage | None = None
    note: Callable[[str], None] = lambda _: None
    host: str = ""
    _waiting: dict[str, News] = field(default_factory=dict)

    def failed(
        self, trusted: Trusted, deployment: Deployment, attempt: Attempt, failure: Failure, seconds: float
    ) -> None:
        """The first failure of a change is told; the others are in the agent's own state."""
        if attempt.failures > 1:
            return
        model = trusted.change.path.split("/")[-2]
        news = News(
            self.environment,
            model,
            trusted.change,
            deployment,
            "failed",
            f"not applied: {SAID[failure]}",
            attempt.started,
            seconds,
            details={"failure": failure.value},
        )
        self._write(news)
        self._waiting[model] = news

    def crashed(self, state: AgentState, model: str, digest: str, now: datetime) -> None:
        """An end of the server's process while the artifact was being called; the longer waits keep it from many."""
        details = {"failure": Failure.CRASHED.value, "ends": state.crashes[digest].count}
        self._told_of(state, model, digest, "failed", SAID[Failure.CRASHED], now, details)

    def back(self, state: AgentState, serving: Mapping[str, frozenset[Pin]], now: datetime) -> AgentState:
        """Those that ended it and answer again. ``serving``: by model, what answers. The state that knows it."""
        for model, pins in serving.items():
            for digest in {pin.digest for pin in pins if (found := state.crashes.get(pin.digest)) and found.away}:
                details = {"ends": state.crashes[digest].count}
                self._told_of(state, model, digest, "passed", "it answers again", now, details)
                state = tries.back(state, digest, now)
        return state

    def _told_of(
        self,
        state: AgentState,
        model: str,
        digest: str,
        result: Literal["passed", "failed"],
        reason: str,
        now: datetime,
        details: Mapping[str, Any],
    ) -> None:
        """Of a version of what is applied; a local pin is nobody's evidence."""
        applied = state.applied.get(model)
        deployment = _deployment(applied) if applied else None
        pin = next((pin for pin in deployment.pins if pin.digest == digest), None) if deployment else None
        if applied is None or deployment is None or pin is None:
            return
        change = _change(applied)
        news = News(self.environment, model, change, deployment, result, reason, stamp(now), 0.0, "", details, pin)
        self._write(news)

    def report(self, state: AgentState, pins: Mapping[str, LocalPin], now: datetime) -> AgentState:
        """What is new since the last call; the state that knows that it was told."""
        for model, applied in state.applied.items():
            if not applied.told:
                state = self._applied(state, model, applied)
        for model, stop in state.stops.items():
            if not stop.told:
                state = self._stopped(state, model, stop)
        for pin in pins.values():
            state = self._pin(state, pin, now)
        self._deliver()
        return state

    def _applied(self, state: AgentState, model: str, applied: Applied) -> AgentState:
        news = self._news_of(model, applied)
        if news is None:
            return state
        self._waiting[model] = news
        if not self._write(news):
            return state
        return state.with_applied(model, applied.model_copy(update={"told": True}))

    def _stopped(self, state: AgentState, model: str, stop: Stop) -> AgentState:
        """A canary that fails where the champion answers."""
        applied = state.applied.get(model)
        news = self._news_of(model, applied) if applied else None
        if news is None:
            return state
        about, details = Pin(version=stop.version, digest=stop.digest), {"part": "canary", "stopped": stop.since}
        news = replace(news, result="failed", reason=stop.reason, time=stop.since, details=details, about=about)
        self._waiting[f"{model} canary"] = news
        if not self._write(news):
            return state
        return state.with_stop(model, stop.model_copy(update={"told": True}))

    def _news_of(self, model: str, applied: Applied) -> News | None:
        deployment = _deployment(applied)
        if deployment is None:
            return None
        details = {"checked": dict(applied.checked), "evidence": list(applied.evidence), "rollback": applied.rollback}
        reason = f"{model} {deployment.champion.version} answers"
        return News(
            self.environment,
            model,
            _change(applied),
            deployment,
            "passed",
            reason,
            applied.since,
            applied.seconds,
            details=details,
        )

    def _pin(self, state: AgentState, pin: LocalPin, now: datetime) -> AgentState:
        """Its begin and its end, each once."""
        mark = pin.since if pin.is_active(now) else f"{pin.since}-ended"
        if state.pins_told.get(pin.model) == mark:
            return state
        deployment = Deployment(champion=Pin(version=pin.version, digest=pin.digest))
        head = state.verified or self.mirror.resolve(MAIN_REF) or ""
        time = pin.since if pin.is_active(now) else pin.removed or pin.until
        event = "begun" if pin.is_active(now) else "ended"
        details: dict[str, Any] = {"pin": {**pin.model_dump(mode="json"), "event": event}}
        news = News(
            self.environment,
            pin.model,
            Moved(path="", old="", new="", commit=head, parent=""),
            deployment,
            "passed",
            f"local pin {event}: {pin.said}",
            time,
            0.0,
            by=pin.owner,
            details=details,
        )
        self._waiting[f"{pin.model} pin"] = news
        if not self._write(news):
            return state
        return state.model_copy(update={"pins_told": {**state.pins_told, pin.model: mark}})

    def hour(self, details: Mapping[str, Any], now: datetime, head: str) -> bool:
        """What was served since the hour before, on main's commit ``head``; whether it is kept."""
        if self.key is None:
            return True
        try:
            binding = Binding(
                kind=SERVED,
                host=self.host,
                repository=self.repository,
                time=stamp(now),
                environment=self.environment,
                head=head,
                run="local",
            )
            self.outbox.put(Statement(binding, details), self.key)
        except (GitmlError, OSError, ValueError) as exc:
            self.note(f"not written to the outbox: {exc}")
            return False
        return True

    def _write(self, news: News) -> bool:
        """Into the outbox, signed; False when that is not possible now. Without a key there is nothing to write."""
        if self.key is None:
            return True
        news = News(**{**vars(news), "details": {"agent": agent_name(), **news.details}})
        try:
            self.outbox.put(statement_of(news, self.repository, self.mirror, self.host), self.key)
        except (GitmlError, OSError, ValueError) as exc:
            self.note(f"not written to the outbox: {exc}")
            return False
        return True

    def _deliver(self) -> None:
        try:
            self.outbox.deliver()
        except (GitmlError, OSError) as exc:
            self.note(f"the outbox waits: {exc}")
        if self.page is None:
            self._waiting.clear()
            return
        for model, news in list(self._waiting.items()):
            if self.page.tell(news, agent_name()):
                del self._waiting[model]


def _deployment(applied: Applied) -> Deployment | None:
    try:
        return parse_deployment(applied.text.encode(), applied.path)
    except SpecError:
        return None


def _change(applied: Applied) -> Moved:
    return Moved(path=applied.path, old=applied.old, new=applied.blob, commit=applied.commit, parent=applied.parent)
