"""Everything that the site shows, read once: from main, the ledger and the looks of a clone, and from its forge.

What is out of reach is noted, and the rest is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gitml import clock
from gitml.control.ledger import Here
from gitml.control.looks import read_hours, read_looks
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import GitmlError, InconclusiveError, OutsideError, SpecError
from gitml.evidence.audit import Audit
from gitml.evidence.canaries import KIND as CANARY
from gitml.evidence.impacts import KIND as IMPACT
from gitml.evidence.looks import KIND as LOOK
from gitml.evidence.reader import EvidenceRules
from gitml.evidence.served import served_hours
from gitml.evidence.trust import Believed
from gitml.gate.mayrefuse import DeclineRights
from gitml.git import ledger
from gitml.git.ledger import LOOKS, SERVED
from gitml.promotion.audit import AuditCall, audit
from gitml.promotion.status import DeploymentStatus, status, status_of_clone
from gitml.reports.figures import plural
from gitml.site.facts import (
    SiteFacts,
    SiteFinding,
    SitePolicyState,
    SitePull,
    SiteRole,
)
from gitml.site.readbusiness import site_bias, site_causal, site_retrainings, site_returns
from gitml.site.readchanges import SiteHistory, person, site_history, stamp, versions_of
from gitml.site.readcharts import ChartPlaces, with_charts
from gitml.site.readkpis import signed_kpi_days, site_impacts, site_kpis
from gitml.site.readlooks import site_looks, site_trials
from gitml.site.readreviews import reviewed
from gitml.site.readserved import HOUR, WEEK, site_servers, site_traffic
from gitml.site.readsizing import sized
from gitml.site.readstages import site_feeds, site_stages
from gitml.site.readstates import (
    shut_gates,
    site_attempts,
    site_environments,
    site_freezes,
    site_pending,
    site_pulls,
    site_states,
)
from gitml.site.readversions import PAGES_PER_MODEL, models
from gitml.site.versionfacts import SiteModel
from gitml.spec import Application, Policy
from gitml.spec.dvcconfig import DVC_CONFIG
from gitml.spec.reviews import ReviewPeriods

if TYPE_CHECKING:
    from gitml.dvc.remotes import Depot

T = TypeVar("T")


@dataclass(frozen=True)
class SiteSource:
    """A clone at ``root``. ``place``: its forge, where one answers; ``offline``: nothing is fetched either.

    ``pages_per_model``: how many of its newest versions are shown in full. ``kpis``: days and values of KPIs, and
    ``bias``: counts by category; to read them takes rights that a site's job does not have.
    """

    root: Path
    env: Mapping[str, str]
    repository: str = ""
    place: Place | None = None
    offline: bool = False
    now: datetime = field(default_factory=clock.now)
    pages_per_model: int = PAGES_PER_MODEL
    kpis: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    bias: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def gather(source: SiteSource) -> SiteFacts:
    """Never raises for what is missing: an empty repository gives facts that say so."""
    notes: list[str] = []
    here = Here(source.root, source.env, source.repository)
    try:
        main = here.main
    except (InconclusiveError, OutsideError) as exc:
        return SiteFacts(source.root.name, notes=(f"There is nothing to show yet: {exc.message}.",))
    return _Gathering(source, here, main, notes).facts()


@dataclass
class _Gathering:
    source: SiteSource
    here: Here
    main: Mainline
    notes: list[str]

    @cached_property
    def _might_decline(self) -> Callable[[str, datetime], bool]:
        """Offline nobody can say who has which role, so nobody's no is shown."""
        return DeclineRights(self.main, self.source.place) if self.source.place else lambda _login, _at: False

    def facts(self) -> SiteFacts:
        application = self.attempt("gitml.yaml cannot be read", self.main.application)
        policy = self.attempt("policy.yaml cannot be read", self.main.policy)
        audited, problem = self._audit(policy)
        looks, looked = self._looks(policy)
        hours = served_hours(self._hours(policy))
        events = audited.events if audited else ()
        past = site_history(self.main, audited)
        standing = self._status()
        pulls, at = self._pulls(), self.source.now
        return SiteFacts(
            application=application.application if application else self.source.root.name,
            description=application.description if application else "",
            home=self._home(),
            folder=self.main.git.prefix,
            commit=self.main.commit,
            time=past.commits[0].time if past.commits else "",
            ledger=audited.facts.head if audited else "",
            ledger_problem=problem,
            verdict=(audited.verdict.phase, audited.verdict.reason) if audited and audited.facts.head else None,
            models=self._models(application, policy, past, standing, events),
            environments=site_environments(policy) if policy else (),
            stages=site_stages(self.main, application, self.notes),
            feeds=site_feeds(self.main, application, self.notes),
            states=site_states(standing, events, at) if standing else (),
            pending=site_pending(standing.pending if standing else (), events),
            pending_known=self.source.place is not None,
            pulls=pulls,
            deployments=past.deployments,
            commits=past.commits,
            commits_left_out=past.left_out,
            looks=site_looks(looks),
            watched=tuple(_watched(application, standing)),
            trials=site_trials([*looks, *events]),
            judged=shut_gates(events),
            findings=_findings(audited),
            policies=tuple(_policies(audited, past)),
            policy_text=_text(self.main.file("policy.yaml")),
            roles=tuple(_roles(policy)),
            freezes=site_freezes(policy.freezes, at) if policy else (),
            # What was given is newer and longer than what was signed around changes.
            kpis=site_kpis(application, {**signed_kpi_days(looks), **self.source.kpis}),
            impacts=site_impacts(looks),
            returns=site_returns(looks),
            causal=site_causal(looks),
            retrainings=site_retrainings(application, policy, (past.commits, pulls), events, self._might_decline, at),
            bias=site_bias(application, self.source.bias),
            attempts=site_attempts(events),
            traffic=site_traffic(hours),
            servers=site_servers(hours),
            boards=tuple(application.sites.boards.items()) if application else (),
            private=application.private if application else (),
            notes=tuple(dict.fromkeys([*self.notes, *looked])),
        )

    def attempt(self, words: str, read: Callable[[], T]) -> T | None:
        """None with a note where it cannot be read."""
        try:
            return read()
        except SpecError as exc:
            self.notes.append(f"{words}: {exc.problems[0]}")
            return None

    def _audit(self, policy: Policy | None) -> tuple[Audit | None, str]:
        """main against the ledger; or why there is no evidence to show."""
        if policy is None:
            return None, "There is no policy.yaml that can be read, so no evidence is believed."
        fetch = self.source.place is not None and not self.source.offline
        call = AuditCall(self.source.repository, fetch=fetch)
        try:
            found = audit(self.source.root, self.source.env, call, now=self.source.now)
        except GitmlError as exc:
            return self._audit_here(exc) if fetch else (None, _out_of_reach(exc))
        return found, "" if found.facts.head else "There is no ledger yet, so nothing here is signed."

    def _audit_here(self, why: GitmlError) -> tuple[Audit | None, str]:
        """By what the clone has, where the server does not answer."""
        try:
            call = AuditCall(self.source.repository)
            return audit(self.source.root, self.source.env, call, now=self.source.now), _out_of_reach(why)
        except GitmlError:
            return None, _out_of_reach(why)

    def _hours(self, policy: Policy | None) -> tuple[Believed, ...]:
        """What agents told of a week, as far as it is believed."""
        if policy is None:
            return ()
        try:
            if self.source.place and not self.source.offline:
                ledger.fetch(self.source.root, self.source.place.remote, SERVED)
            heads = self.here.heads(SERVED)
            found = read_hours(self.source.root, heads[0], self._rules(policy), WEEK * HOUR) if heads else ()
        except GitmlError as exc:
            self.notes.append(f"What servers did cannot be read: {exc.message.splitlines()[0]}.")
            return ()
        wrong = [one for one in found if not one]
        if wrong:
            self.notes.append(f"{plural(len(wrong), 'hour')} of servers do not count: one {wrong[-1].why_not}.")
        return found

    def _rules(self, policy: Policy) -> EvidenceRules:
        settings = self.here.settings
        return EvidenceRules(policy, settings.repository, self.source.now, settings.host)

    def _looks(self, policy: Policy | None) -> tuple[tuple[Believed, ...], list[str]]:
        if policy is None:
            return (), []
        try:
            heads = self.here.heads(LOOKS)
            rules = self._rules(policy)
            root, kinds = self.source.root, (LOOK, CANARY, IMPACT) if heads else ()
            found = [read_looks(root, heads[0], rules, kind=kind) for kind in kinds]
        except GitmlError as exc:
            return (), [f"What monitors saw cannot be read: {exc.message.splitlines()[0]}."]
        return tuple(one for told in found for one in told), []

    def _status(self) -> DeploymentStatus | None:
        try:
            if self.source.place:
                found = status(self.source.place)
                self.notes.extend(found.notes)
                return found
        except GitmlError as exc:
            self.notes.append(f"The forge does not answer: {exc.message.splitlines()[0]}.")
        try:
            return status_of_clone(self.source.root, main=self.main)
        except GitmlError as exc:
            self.notes.append(f"The deployments cannot be read: {exc.message.splitlines()[0]}.")
            return None

    def _pulls(self) -> tuple[SitePull, ...]:
        try:
            return site_pulls(self.source.place.forge) if self.source.place else ()
        except GitmlError as exc:
            self.notes.append(f"Open pull requests are not known: {exc.message.splitlines()[0]}.")
            return ()

    def _home(self) -> str:
        try:
            return self.here.settings.home
        except GitmlError:
            return ""

    def _models(
        self,
        application: Application | None,
        policy: Policy | None,
        past: SiteHistory,
        standing: DeploymentStatus | None,
        events: Sequence[Believed],
    ) -> tuple[SiteModel, ...]:
        pinned = {pin.version for w in (standing.wanted if standing else ()) if w.state for pin in w.state.pins}
        wanted = pinned | set(versions_of(past.deployments))
        successions = {(d.model, d.old, d.new) for d in past.deployments if d.old and d.new and d.old != d.new}
        found = models(self.main, application, wanted, sorted(successions), self.source.pages_per_model)
        declared = application.models if application else {}
        rules = policy.reviews if policy else ReviewPeriods()
        periods = {name: rules.within(model) for name, model in declared.items()}
        drawn = with_charts(found, ChartPlaces(tuple(self._depots())))
        return tuple(sized(reviewed(m, events, periods.get(m.name), self.source.now), events) for m in drawn)

    def _depots(self) -> Iterator[Callable[[], Depot]]:
        """Opened only where a version has charts: DVC takes a second to load."""

        def cache() -> Depot:
            from gitml.dvc.remotes import cache_depot

            return cache_depot(self.source.root)

        def remotes() -> Depot:
            from gitml.dvc.addresses import own_remotes, places_of
            from gitml.dvc.remotes import depot

            return depot(places_of(self.main.file(DVC_CONFIG) or b"", own_remotes()))

        yield cache
        if self.source.place and not self.source.offline:
            yield remotes


def _out_of_reach(exc: GitmlError) -> str:
    return f"The evidence cannot be read: {exc.message.splitlines()[0]}."


def _watched(application: Application | None, standing: DeploymentStatus | None) -> Iterable[tuple[str, str]]:
    """Model and environment of every monitor that gitml.yaml asks for."""
    for one in standing.wanted if standing and application else ():
        spec = application.monitors.of(one.model) if application else None
        if one.state and spec and spec.watch and (not spec.environments or one.environment in spec.environments):
            yield one.model, one.environment


def _findings(audited: Audit | None) -> tuple[SiteFinding, ...]:
    if audited is None or not audited.facts.head:
        return ()
    return tuple(
        SiteFinding(one.kind.value, one.phase, one.subject, one.message, one.commit) for one in audited.findings
    )


def _policies(audited: Audit | None, past: SiteHistory) -> Iterable[SitePolicyState]:
    """Newest first, with the keys at the top of policy.yaml that each changed."""
    rules = audited.facts.policies if audited else ()
    for place in range(len(rules) - 1, -1, -1):
        one, before = rules[place].policy, rules[place - 1].policy if place else None
        landed = past.landed.get(rules[place].commit)
        told = one.model_dump() if one else {}
        old = before.model_dump() if before else {}
        changed = tuple(key for key in told if told[key] != old.get(key)) if one else ("cannot be read",)
        when, who = (stamp(landed.time), person(landed.author)) if landed else ("", "")
        yield SitePolicyState(rules[place].commit, when, who, past.titles.get(rules[place].commit, ""), changed)


def _roles(policy: Policy | None) -> Iterable[SiteRole]:
    for name, role in policy.roles.items() if policy else ():
        yield SiteRole(name, tuple(member.login for member in role.people), tuple(role.teams))


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "backslashreplace")
