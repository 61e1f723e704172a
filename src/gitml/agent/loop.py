"""``gitml agent``: running models converge to what main says, and to nothing else.

One round: look at main and the ledger, judge each deployment file of the environment, and bring what is believed into
service beside what serves. Whatever goes wrong on the way, what serves goes on serving.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from gitml.agent import attempt as tries
from gitml.agent.failures import failure_of
from gitml.agent.fetch import MirrorShelf, sweep
from gitml.agent.forgetting import forget
from gitml.agent.hours import ServedHours
from gitml.agent.judge import Go, Keep, Same, Wait, judge
from gitml.agent.load import LoadedModel, LoadOrder, applied_by, formats_of, may_pickle, planned, tried, why_not_loaded
from gitml.agent.looksage import LookAges
from gitml.agent.marks import advanced, lost, why_gone
from gitml.agent.modelcase import MainSeen, ModelCase, standing
from gitml.agent.pin import LocalPin, active, pins_in
from gitml.agent.report import facts_of
from gitml.agent.setup import Setup
from gitml.agent.shop import HidingFront
from gitml.agent.source import MAIN_REF, Heads, Seen, look
from gitml.agent.state import CACHE, DVC, AgentState, Applied, agent_name, load_state, save_state, stamp
from gitml.agent.stops import noted, without_stopped
from gitml.agent.trust import ChangeEvents, Grounds, UntrustedError, brought_up
from gitml.agent.view import Health, ModelView, Sync, View, not_better
from gitml.clock import machine
from gitml.errors import FailedError, OutsideError, SpecError
from gitml.spec.deployment import Deployment, Pin, parse_deployment

__all__ = ["Agent", "Setup"]


class Agent:
    """The one that owns the state folder. Not thread-safe but for ``view``, which any thread may read."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        fresh = AgentState(environment=setup.environment, repository=setup.repository, branch=setup.mirror.branch)
        self.state = tries.after_restart(load_state(setup.folder, fresh))
        self.view = View(setup.environment, setup.repository, agent_name(), observe=setup.observe)
        setup.front.tell(self.view)
        self._loaded: dict[str, LoadedModel] = {}
        self._grounds: Grounds | None = None
        self._told: dict[str, str] = {}
        self._ages = LookAges(setup.mirror, setup.environment)
        self._front = HidingFront(setup.front, setup.mirror)
        self._retries: dict[str, tuple[int, float]] = {}
        self._hours = ServedHours(self._told_hour, setup.clock())
        setup.mirror.prepare()

    def restore(self) -> None:
        """Serve what was applied last, from this machine's disk; what it lacks is fetched if that is possible."""
        now = self.setup.clock()
        pins = active(pins_in(self.setup.folder), now)
        self._front.follow_mirror()
        for model in self.state.applied:
            self._serve_pin(pins[model]) if model in pins else self._serve_applied(model)

    def run(self, stop: threading.Event, wake: threading.Event, interval: float) -> None:
        """Rounds until ``stop``; ``wake`` begins the next one early."""
        while not stop.is_set():
            wake.clear()
            try:
                self.round()
            except Exception as exc:  # the agent's loop: whatever it is, what serves goes on serving
                self._say("agent", f"this round failed: {why_not_loaded(exc)}")
                self._see(replace(self.view, reason=f"the last round failed: {why_not_loaded(exc)}"))
            # Many agents that started together do not come together for ever.
            wake.wait(interval * random.uniform(0.8, 1.2))  # noqa: S311
            if not stop.is_set() and wake.is_set():
                stop.wait(min(1.0, interval))

    def round(self) -> View:
        """One convergence."""
        now = self.setup.clock()
        self._mourn(now)
        main, pins, views = self._look(now), active(pins_in(self.setup.folder), now), []
        heads = main.heads
        if heads:
            self._front.follow(heads.main)
            self._forget(heads)
        for model in sorted({*main.wanted, *self.state.applied, *pins}):
            case = ModelCase(model, now, main)
            views.append(self._safely(case, None if self.setup.observe else pins.get(model)))
            self._say(model, f"{views[-1].sync.value}, {views[-1].health.value}: {views[-1].reason or 'as main says'}")
        if heads and not self.setup.observe:
            self._advance(heads, views)
            self._sweep()
        self.setup.quarantine.rest()
        if self.setup.quarantine.offline is False:
            self._say("quarantine", "this kernel does not take the network from new versions that are tried")
        self._report(now)
        fresh = replace(
            self.view,
            models=tuple(views),
            reason=main.trouble,
            main=heads.main if heads else self.view.main,
            verified=self.state.verified,
            looked=stamp(now) if heads else self.view.looked,
            outbox=len(self.setup.reporter.outbox.waiting()),
            extra=self._ages.told(heads.main, self.state.applied) if heads else self.view.extra,
        )
        return self._see(fresh)

    def _forget(self, heads: Heads) -> None:
        """Files that an erasure replaced: the new ones are here before the old ones go."""
        if self._grounds is None or self.setup.observe:
            return
        try:
            replaced = self._grounds.replaced
        except UntrustedError:  # without a policy nobody is believed
            return
        for one in replaced:
            if one not in self.state.replaced and (why := forget(self._shelf(heads.main), one, self.state.replaced)):
                self._say(f"{one.path} of {one.model}", why)
            elif one not in self.state.replaced:
                self._save(self.state.model_copy(update={"replaced": (*self.state.replaced, one)}))

    def _see(self, view: View) -> View:
        self.view = view
        self.setup.front.tell(view)
        return view

    def _mourn(self, now: datetime) -> None:
        """What the server lost since the last round is loaded again, unless it is to blame."""
        before = self.state
        for loss in self._front.losses():
            loaded = self._loaded.get(loss.model)
            if loaded and loss.version in ("", *(one.version for one in loaded.versions)):
                del self._loaded[loss.model]
            if loss.digest and tries.blamed(before, loss.digest, loss.others):
                self._save(tries.crashed(self.state, loss.digest, loss.reason, now, loss.others))
                self.setup.reporter.crashed(self.state, loss.model, loss.digest, now)
        state = noted(self.state, self._front.stopped_canaries(), now)
        if state != self.state:
            self._save(state)

    def _look(self, now: datetime) -> MainSeen:
        """Main and its deployment files; or why not: then what is applied or pinned is served all the same."""
        mirror = self.setup.mirror
        try:
            heads = look(mirror, Seen(self.state.verified, self.state.ledger))
            self._grounds = self._grounded(heads, now)
            wanted = mirror.wanted(heads.main, self.setup.environment, frozenset(self.state.applied))
            gone = lost(mirror, self.state, heads.main)
        except OutsideError as exc:
            self._say("main", exc.message)
            return MainSeen(trouble=exc.message + (f"; {exc.hint}" if exc.hint else ""))
        self._say("main", f"{mirror.branch} is at {heads.main[:10]}")
        return MainSeen(heads, wanted, gone)

    def _grounded(self, heads: Heads, now: datetime) -> Grounds:
        """What this round judges by; what the last one found out is kept while main and the ledger stay the same."""
        last, mirror = self._grounds, self.setup.mirror
        ledger = brought_up(last.ledger if last else ChangeEvents(), mirror, heads.ledger)
        same = last is not None and (last.head, last.ledger.line.head) == (heads.main, ledger.line.head)
        known = last.known if last and same else {}
        setup = self.setup
        return Grounds(mirror, heads.main, ledger, setup.repository, now, setup.only, setup.host, known)

    def _advance(self, heads: Heads, views: list[ModelView]) -> None:
        """Remember how far main is believed, all of it or model by model."""
        failed = {view.model for view in views if view.failed}
        state = advanced(self.setup.mirror, self.state, heads, {view.model for view in views}, failed)
        if state != self.state:
            self._save(state)
            if state.verified:
                self.setup.mirror.keep("verified", state.verified)

    def _safely(self, case: ModelCase, pin: LocalPin | None) -> ModelView:
        try:
            return self._pinned(case, pin) if pin else self._one(case)
        except Exception as exc:  # the agent's loop: trouble with one model is none of the others'
            view = self._standing(case, self.state.applied.get(case.model), "")
            return replace(view, sync=Sync.UNKNOWN, reason=f"not judged: {why_not_loaded(exc)}", failed=True)

    def _one(self, case: ModelCase) -> ModelView:
        applied = self.state.applied.get(case.model)
        broken = self._serve_applied(case.model) if applied and not self.setup.observe else ""
        view = self._standing(case, applied, broken)
        heads, gone = case.main.heads, case.main.gone.get(case.model)
        if heads is None or self._grounds is None:
            return replace(view, sync=Sync.UNKNOWN, reason=case.main.trouble)
        if gone:
            return replace(view, sync=Sync.UNKNOWN, reason=why_gone(self.setup.mirror.branch, gone), failed=True)
        found = judge(self._grounds, case.wanted, applied, self.setup.environment)
        if isinstance(found, Same):
            return view
        view = replace(view, sync=Sync.OUT)
        if isinstance(found, Keep):
            return replace(view, reason=found.reason, failed=found.failed, until="")
        if isinstance(found, Wait):
            until = stamp(found.restraint.until) if found.restraint.until else ""
            return replace(
                view, health=not_better(view.health, Health.SUSPENDED), reason=found.restraint.said, until=until
            )
        return self._go(case, found, view)

    def _standing(self, case: ModelCase, applied: Applied | None, broken: str) -> ModelView:
        return standing(case, applied, self.state.attempts.get(case.model), broken)

    def _go(self, case: ModelCase, found: Go, view: ModelView) -> ModelView:
        attempt = self.state.attempts.get(case.model)
        later = tries.next_try(attempt, found.trusted.change, self.setup.backoff, case.now)
        if self.setup.observe:
            return replace(view, reason="would be applied: its evidence is believed")
        if later is not None and attempt is not None:
            reason = f"{attempt.reason}; tried {attempt.failures} times, again at {stamp(later)}"
            return replace(view, health=Health.DEGRADED, reason=reason, until=stamp(later))
        return self._apply(case, found, view)

    def _apply(self, case: ModelCase, found: Go, view: ModelView) -> ModelView:
        change, began = found.trusted.change, time.monotonic()
        attempt = tries.begun(self.state.attempts.get(case.model), change, case.now)
        self._save(self.state.with_attempt(case.model, attempt))
        self._see(replace(self.view, models=(*self._others(case.model), replace(view, health=Health.PROGRESSING))))
        pickle = may_pickle(found.trusted.policy, case.model, case.now)
        try:
            deployment, _ = without_stopped(self.state, case.model, found.deployment)
            loaded = self._load(LoadOrder(case.model, deployment, change.commit, pickle), case.now)
        except Exception as exc:  # a stranger's model is loaded: whatever it raises, what serves goes on serving
            reason = f"not applied: {why_not_loaded(exc)}"
            attempt = tries.failed(attempt, reason)
            self._save(self.state.with_attempt(case.model, attempt))
            self.setup.reporter.failed(
                found.trusted, found.deployment, attempt, failure_of(exc), time.monotonic() - began
            )
            return replace(view, health=Health.DEGRADED, reason=reason, attempted=attempt.model_dump(mode="json"))
        applied = applied_by(found, loaded, case.wanted, case.now, pickle=pickle, seconds=time.monotonic() - began)
        self._save(self.state.with_applied(case.model, applied).with_attempt(case.model, None))
        self.setup.mirror.keep(f"applied/{case.model}", change.commit)
        fresh = self._standing(case, applied, "")
        return replace(fresh, attempted=None)

    def _others(self, model: str) -> tuple[ModelView, ...]:
        return tuple(m for m in self.view.models if m.model != model)

    def _shelf(self, commit: str) -> MirrorShelf:
        newest = self.setup.mirror.resolve(MAIN_REF) or commit
        folder = self.setup.folder
        remotes, replaced = self.setup.remotes, self.state.replaced
        return MirrorShelf(self.setup.mirror, commit, folder / CACHE, folder / DVC, newest, remotes, replaced)

    def _load(self, order: LoadOrder, now: datetime) -> LoadedModel:
        """All of it, from now on in service. Raises whatever keeps it from that."""
        for pin in order.deployment.pins:
            if barred := tries.why_barred(self.state, pin, now):
                raise FailedError(barred)
        plan = planned(self._shelf(order.commit), order)
        self.setup.front.prepare(plan, formats_of(plan))
        if not order.served:
            tried(plan, self._loaded.get(order.name), self.setup.quarantine)
        loaded = LoadedModel(plan, order.deployment, self._front.serve(plan))
        self._loaded[order.name] = loaded
        return loaded

    def _serve_applied(self, model: str) -> str:
        """Have what was applied in service, after a restart or a pin; why it is not, or empty."""
        applied = self.state.applied[model]
        try:
            deployment = parse_deployment(applied.text.encode(), applied.path)
        except SpecError as exc:
            return f"what was applied cannot be read: {exc.message}"
        return self._serve(model, LoadOrder(model, deployment, applied.commit, applied.pickle, served=True))

    def _serve(self, model: str, order: LoadOrder) -> str:
        now, there = self.setup.clock(), self._loaded.get(model)
        spared, barred = tries.spared(self.state, order.deployment, now)
        deployment, stopped = without_stopped(self.state, model, spared)
        barred = "; ".join(told for told in (barred, stopped) if told)
        if there is not None and (there.deployment, there.order.commit) == (deployment, order.commit):
            return barred
        if why := tries.why_barred(self.state, deployment.champion, now):
            return why
        failures, due = self._retries.get(model, (0, 0.0))
        if time.monotonic() < due:
            return "what was applied could not be loaded again; it is tried again soon"
        try:
            self._load(replace(order, deployment=deployment), now)
        except Exception as exc:  # as in _apply
            wait = self.setup.backoff.after(failures + 1).total_seconds()
            self._retries[model] = failures + 1, time.monotonic() + wait
            return f"what was applied cannot be loaded: {why_not_loaded(exc)}"
        self._retries.pop(model, None)
        return barred

    def _pinned(self, case: ModelCase, pin: LocalPin) -> ModelView:
        broken = self._serve_pin(pin)
        if broken and case.model in self.state.applied and case.model not in self._loaded:
            self._serve_applied(case.model)
        applied = self.state.applied.get(case.model)
        pinned = {"version": pin.version, "since": pin.since, "owner": pin.owner, "pin": True}
        return replace(
            self._standing(case, applied, ""),
            sync=Sync.OUT if case.main.heads else Sync.UNKNOWN,
            health=Health.DEGRADED if broken else Health.SUSPENDED,
            reason=f"{pin.said}; {broken}" if broken else pin.said,
            until=pin.until,
            applied=pinned if not broken else facts_of(applied) if applied else None,
        )

    def _serve_pin(self, pin: LocalPin) -> str:
        deployment = Deployment(champion=Pin(version=pin.version, digest=pin.digest))
        commit = self.state.verified or self.setup.mirror.resolve(MAIN_REF) or ""
        there = self._loaded.get(pin.model)
        if there is not None and there.deployment == deployment:
            return ""
        return self._serve(pin.model, LoadOrder(pin.model, deployment, commit))

    def _report(self, now: datetime) -> None:
        if self.setup.observe:
            return
        self._hours.see(self.setup.front.used(), now)
        serving = {model: frozenset(loaded.deployment.pins) for model, loaded in self._loaded.items()}
        state = self.setup.reporter.back(self.state, serving, now)
        state = self.setup.reporter.report(state, pins_in(self.setup.folder), now)
        if state != self.state:
            self._save(state)

    def end(self) -> None:
        """The last hour is told as far as it went; what cannot be brought away now waits for the next start."""
        if not self.setup.observe:
            self._hours.see(self.setup.front.used(), self.setup.clock(), is_last=True)

    def _told_hour(self, details: Mapping[str, Any], now: datetime) -> bool:
        return self.setup.reporter.hour(details, now, self.state.verified or self.setup.mirror.resolve(MAIN_REF) or "")

    def _sweep(self) -> None:
        sweep(self.setup.folder / CACHE, {d for one in self._loaded.values() for d in one.digests}, machine())

    def _save(self, state: AgentState) -> None:
        save_state(self.setup.folder, state)
        self.state = state

    def _say(self, what: str, text: str) -> None:
        """Tell what changed, once."""
        if self._told.get(what) != text:
            self._told[what] = text
            self.setup.note(f"{what}: {text}")
