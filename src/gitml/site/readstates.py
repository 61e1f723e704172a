"""Environments: what main wants of them, what runs there, what waits to get in, and what keeps it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed
from gitml.forges.base import PullRequest
from gitml.forges.governed import GovernedForge
from gitml.jsontext import plain
from gitml.policy.change import in_force
from gitml.policy.freezes import moment
from gitml.promotion.status import DeploymentStatus, Pending, WantedVersion
from gitml.site.facts import SiteAttempt, SiteEnvironment, SiteFreeze, SitePending, SitePin, SitePull, SiteState
from gitml.site.readchanges import gates_of
from gitml.site.readlooks import dicts, text_of
from gitml.spec import Deployment, Policy
from gitml.spec.deployment import Hold
from gitml.spec.policy import Freeze
from gitml.verdict import Phase

# Each costs a question to the forge.
_MOST_PULLS = 50
_MOST_ATTEMPTS = 200


def site_environments(policy: Policy) -> tuple[SiteEnvironment, ...]:
    """In the order of promotion."""
    return tuple(
        SiteEnvironment(name, found.description, dict(found.approvals), dict(_asked(found.gates.wanted)))
        for name, found in policy.environments.items()
    )


def _asked(wanted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in wanted.items():
        yield name, _words(plain(value))


def _words(told: Any) -> str:
    """A gate's key as one line: ``auc at_least 0.65, log_loss at_most 0.6``."""
    if isinstance(told, Mapping):
        return ", ".join(f"{key} {_words(value)}".strip() for key, value in told.items() if value is not None)
    if isinstance(told, list):
        return "; ".join(_words(value) for value in told)
    return "yes" if told is True else str(told)


def site_states(status: DeploymentStatus, told: Iterable[Believed], at: datetime) -> tuple[SiteState, ...]:
    """Each model in each environment. What agents reported to the ledger counts where the forge tells nothing."""
    reported: dict[tuple[str, str], Believed] = {}
    for one in told:
        if one and one.kind == "deployed" and not one.by:
            reported[one.model, one.environment] = one
    return tuple(_state(w, reported.get((w.model, w.environment)), at) for w in status.wanted if w.state or w.problem)


def _state(wanted: WantedVersion, reported: Believed | None, at: datetime) -> SiteState:
    state = wanted.state
    champion = state.champion.version if state else ""
    live, when, by, health = _live(wanted, reported)
    return SiteState(
        model=wanted.model,
        environment=wanted.environment,
        champion=champion,
        others=tuple(_others(state)) if state else (),
        since=wanted.since,
        commit=wanted.commit,
        pull=wanted.pull,
        approved_by=wanted.approved_by,
        approvals_from=wanted.approvals_from,
        live=live,
        live_since=when,
        live_by=by,
        sync=_sync(champion, live, health),
        health=health,
        is_retired=state.retired if state else False,
        holds=tuple(_holds(state, at)) if state else (),
        frozen=tuple(freeze.reason for freeze in wanted.freezes),
        problem=wanted.problem,
    )


def _live(wanted: WantedVersion, reported: Believed | None) -> tuple[str, str, str, str]:
    """Version, since when, who says so, and how it is: up, failed, starting or unknown."""
    if wanted.live:
        words = {"success": "up", "failure": "failed", "error": "failed", "inactive": "unknown"}
        live = wanted.live
        return live.version, live.time, live.by or "the forge", words.get(live.state, "starting")
    if reported and reported.binding:
        health = "up" if reported.result == "passed" else "failed"
        return reported.version, reported.binding.time, reported.signer, health
    return "", "", "", "unknown"


def _sync(champion: str, live: str, health: str) -> str:
    if not champion or not live:
        return "unknown"
    if health == "failed":
        return "failing"
    return "in step" if champion == live else "behind"


def _others(state: Deployment) -> Iterator[SitePin]:
    if state.canary:
        yield SitePin(state.canary.version, "canary", state.canary.weight)
    for pin in state.shadow:
        yield SitePin(pin.version, "shadow", pin.sample)


def _holds(state: Deployment, at: datetime) -> Iterator[str]:
    """Those that are in force."""
    if in_force(state.hold, at) and state.hold:
        yield f"all changes, {hold_words(state.hold)}"
    for one in state.held:
        if one.until is None or one.until > at:
            yield f"{one.version.rpartition('-')[2]}, {hold_words(one)}"


def hold_words(hold: Hold) -> str:
    """Who holds, until when, and why."""
    end = f"until {moment(hold.until)}" if hold.until else "without an end"
    return f"by {hold.by}, {end}: {hold.reason}"


def site_attempts(told: Iterable[Believed]) -> tuple[SiteAttempt, ...]:
    """The newest reports of agents, newest first."""
    deployed = [one for one in told if one and one.kind == "deployed" and one.binding]
    return tuple(_attempt(one, one.binding) for one in reversed(deployed[-_MOST_ATTEMPTS:]) if one.binding)


def _attempt(told: Believed, about: Binding) -> SiteAttempt:
    seconds = told.details.get("seconds")
    return SiteAttempt(
        model=about.model,
        environment=about.environment,
        version=about.version,
        time=about.time,
        passed=about.result == "passed",
        reason=text_of(told.details.get("reason"))[:500],
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        signer=told.signer,
        commit=about.head,
    )


def site_freezes(freezes: Iterable[Freeze], at: datetime) -> tuple[SiteFreeze, ...]:
    """Those that are not over."""
    return tuple(
        SiteFreeze(moment(one.since), moment(one.until), one.reason, one.environments, one.since <= at < one.until)
        for one in freezes
        if one.until > at
    )


def site_pending(pending: Iterable[Pending], told: Iterable[Believed]) -> tuple[SitePending, ...]:
    """Open promotions, each with the newest signed judgement of its pull request."""
    judged = _newest_judgements(told)
    return tuple(_pending(one, judged.get(one.number)) for one in pending)


def shut_gates(told: Iterable[Believed]) -> tuple[SitePending, ...]:
    """The newest judgement of each pull request that a gate kept out, newest first; who only waits is not there."""
    found = [
        _judged(SitePending(pull, "", "", said.by, said.model, said.environment), said)
        for pull, said in _newest_judgements(told).items()
        if said.result != "passed"
    ]
    found = [one for one in found if any(gate.phase is not Phase.SUCCESSFUL for gate in one.gates)]
    return tuple(sorted(found, key=lambda one: (one.judged, one.number), reverse=True))


def site_pulls(forge: GovernedForge) -> tuple[SitePull, ...]:
    """The newest open pull requests, newest first. Raises HttpError."""
    return tuple(_pull(forge, one) for one in reversed(forge.pulls.all_open()[-_MOST_PULLS:]))


def _pull(forge: GovernedForge, pull: PullRequest) -> SitePull:
    checks = tuple((s.context, s.state.value, s.description) for s in forge.commits.statuses(pull.head.commit))
    about = (pull.number, pull.title[:300], pull.url, pull.author, pull.head.branch)
    return SitePull(*about, pull.is_draft, tuple(sorted(checks)))


def _newest_judgements(told: Iterable[Believed]) -> dict[int, Believed]:
    """Pull request → what the gate signed of it last."""
    gates = (one for one in told if one and one.kind == "gate")
    return {one.binding.pull: one for one in gates if one.binding and one.binding.pull}


def _pending(one: Pending, said: Believed | None) -> SitePending:
    base = SitePending(one.number, one.title[:300], one.url, one.author, one.model, one.environment)
    return _judged(base, said) if said else base


def _judged(base: SitePending, said: Believed) -> SitePending:
    """With the gates' answers, the seats of roles and the next steps."""
    details = said.details
    approvals = details.get("approvals")
    seats = dicts(approvals.get("seats")) if isinstance(approvals, Mapping) else []
    return replace(
        base,
        judged=said.binding.time if said.binding else "",
        version=said.version,
        gates=gates_of(details),
        seats=tuple((text_of(s.get("role")), _count(s.get("needed")), _names(s.get("filled"))) for s in seats),
        steps=tuple((text_of(step.get("who")), text_of(step.get("what"))) for step in dicts(details.get("next"))),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _names(value: Any) -> tuple[str, ...]:
    """As signed judgements name people: by their logins."""
    return tuple(sorted(text_of(name) for name in value)) if isinstance(value, list) else ()
