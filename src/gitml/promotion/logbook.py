"""``gitml logbook``: the log of each environment, who can stop what runs there, and how far back the log reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.mainline import Mainline
from gitml.evidence.biases import KIND as BIAS
from gitml.evidence.canaries import KIND as CANARY
from gitml.evidence.logbook import LogLine, begins, logbook
from gitml.evidence.looks import KIND as LOOK
from gitml.evidence.reader import EvidenceRules
from gitml.evidence.trust import Believed
from gitml.git.ledger import LOOKS
from gitml.promotion.evidence import events
from gitml.registry.resolve import deployment_path
from gitml.spec import Policy
from gitml.verdict import Phase, Verdict, worst

# CI records what a merge brought within minutes; a day is a job that did not run for a while.
_GRACE = timedelta(days=1)


@dataclass(frozen=True)
class EnvironmentLog:
    """``stoppers``: role → people and teams, of whom one may take a version back or roll back, in freezes too.

    ``deployed_since`` is the first deployment on main, ``begins`` the first line of the log.
    """

    environment: str
    stoppers: dict[str, tuple[str, ...]]
    deployed_since: datetime | None
    begins: datetime | None
    verdict: Verdict


@dataclass(frozen=True)
class Logbook:
    lines: tuple[LogLine, ...]
    environments: tuple[EnvironmentLog, ...]

    @property
    def verdict(self) -> Verdict:
        told = [one.verdict for one in self.environments]
        if not told:
            return Verdict(Phase.INCONCLUSIVE, "nothing was ever deployed")
        phase = worst(told)
        reasons = [
            f"{one.environment}: {one.verdict.reason}" for one in self.environments if one.verdict.phase is phase
        ]
        return Verdict(phase, "; ".join(reasons), {"environments": len(told), "lines": len(self.lines)})


def read_logbook(here: Here, now: datetime, environment: str = "", model: str = "") -> Logbook:
    """Raises InconclusiveError where the clone has no ledger."""
    told = (*events(here), *_looks(here, now))
    policy, every = here.policy(), logbook(told)
    lines = logbook(told, environment, model)
    names = [name for name in policy.environments if environment in ("", name)]
    return Logbook(lines, tuple(_environment(here.main, policy, name, every, now) for name in names))


def _looks(here: Here, now: datetime) -> Iterator[Believed]:
    heads = here.heads(LOOKS)
    rules = EvidenceRules(here.policy(), here.repository, now, here.settings.host)
    for kind in (LOOK, CANARY, BIAS) if heads else ():
        yield from read_looks(here.git.root, heads[0], rules, kind=kind)


def _environment(main: Mainline, policy: Policy, name: str, lines: Iterable[LogLine], now: datetime) -> EnvironmentLog:
    since, start = _deployed_since(main, name), begins(lines, name)
    verdict = _reaches(since, start, now - policy.logbook.keep)
    return EnvironmentLog(name, stoppers(policy, name), since, start, verdict)


def _deployed_since(main: Mainline, environment: str) -> datetime | None:
    found = []
    for model in main.models():
        times = [past.time for past in main.history(deployment_path(model, environment)) if past.time]
        found += [datetime.fromisoformat(times[-1])] if times else []
    return min(found, default=None)


def _reaches(since: datetime | None, start: datetime | None, wanted: datetime) -> Verdict:
    if since is None:
        return Verdict(Phase.SUCCESSFUL, "nothing was ever deployed there")
    first = max(since, wanted)
    told = {"deployed_since": since.isoformat(), "begins": start.isoformat() if start else None}
    if start is None:
        return Verdict(Phase.FAILED, f"deployments since {since:%Y-%m-%d}, and no line of a log", told)
    if start > first + _GRACE:
        return Verdict(
            Phase.FAILED, f"the log begins on {start:%Y-%m-%d}, and must reach back to {first:%Y-%m-%d}", told
        )
    return Verdict(Phase.SUCCESSFUL, f"the log reaches back to {start:%Y-%m-%d}", told)


def stoppers(policy: Policy, environment: str) -> dict[str, tuple[str, ...]]:
    """One of these people approves a rollback, a hold or the end of a candidate; nobody has to where none is named."""
    asked = policy.environments[environment].approvals
    roles = {name: policy.roles[name] for name in asked if name in policy.roles}
    return {name: (*(one.login for one in role.people), *role.teams) for name, role in roles.items()}
