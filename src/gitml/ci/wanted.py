"""What an application wants from CI, whatever the system: which pipelines it has, and for which models and roles.

The renderers ask here, so that two systems never differ in what is done, only in how it is written down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gitml.ci.base import CiJob, CiSource

# With policy.yaml come all gates; jobs of a push import the names of this room alone.
if TYPE_CHECKING:
    from gitml.spec.canary import CanaryRules
    from gitml.spec.policy import Policy

# What jobs find their keys and the agents' outbox by.
SIGNING_KEY, LOOKS_KEY, OUTBOX = "GITML_SIGNING_KEY", "GITML_LOOKS_KEY", "GITML_OUTBOX"
ERASURES_KEY = "GITML_ERASURES_KEY"
LONGEST = timedelta(hours=6)


@dataclass(frozen=True)
class ModelGroup:
    """Models that are loaded with the same locked packages. ``name`` is that of the first."""

    name: str
    models: tuple[str, ...]
    packages: tuple[str, ...]


def groups_of(source: CiSource) -> list[ModelGroup]:
    """The models by what they are loaded with."""
    found: dict[str | None, list[str]] = {}
    for name, model in source.application.models.items():
        found.setdefault(model.packages, []).append(name)
    return [ModelGroup(names[0], tuple(names), (lock,) if lock else ()) for lock, names in found.items()]


def jobs_of_group(source: CiSource, group: ModelGroup) -> list[CiJob]:
    """The jobs that train these models; all jobs where none has their packages."""
    return [job for job in source.jobs if set(group.packages) & set(job.packages)] or list(source.jobs)


def minutes_of(timeout: timedelta) -> int:
    """Whole minutes, rounded up."""
    return math.ceil(timeout.total_seconds() / 60)


def minutes_to_repeat(jobs: Sequence[CiJob]) -> int:
    """How long a job may take that does all of ``jobs`` again."""
    return minutes_of(min(LONGEST, sum((job.timeout for job in jobs), timedelta(minutes=30))))


def rules_of(source: CiSource) -> tuple[CanaryRules, ...]:
    """The rules for candidates, of every environment."""
    return source.policy.candidate_rules if source.policy else ()


def looks_often(source: CiSource) -> bool:
    """Whether looks are due every hour: windows of less than a day, or candidates that are judged as often."""
    specs = [source.application.monitors.of(model) for model in source.application.models]
    shortest = min((spec.window for spec in specs if spec.watch), default=timedelta(days=1))
    return shortest < timedelta(days=1) or any(rules.every < timedelta(hours=6) for rules in rules_of(source))


def looking_locks(source: CiSource) -> tuple[str, ...]:
    """The locked packages that the job of looks installs: those of the models, where all have the same."""
    locks = tuple(dict.fromkeys(model.packages for model in source.application.models.values() if model.packages))
    return locks if len(locks) == 1 else ()


def traffic_secrets(source: CiSource) -> tuple[str, ...]:
    """Secrets of the job that reads traffic, the facts of KPIs, and where the tables of groups are."""
    application = source.application
    told = (name for kpi in application.kpis.values() for name in kpi.secrets)
    tables = (spec.groups.variable for spec in application.bias.values() if spec.monitor and spec.groups.variable)
    return tuple(dict.fromkeys([*(application.traffic.secrets if application.traffic else ()), *told, *tables]))


def webhook_secrets(source: CiSource) -> tuple[str, ...]:
    """Addresses that alarms go to, where they are secrets."""
    monitors = source.application.monitors
    names = (monitors.told(model).webhook_secret for model in source.application.models)
    return tuple(dict.fromkeys(name for name in names if name))


def upstream_secrets(source: CiSource) -> tuple[str, ...]:
    """Tokens that may read the repositories of upstreams; for jobs that run no code of a branch."""
    needs = (need for model in source.application.models.values() for need in model.needs.values())
    return tuple(dict.fromkeys(need.token for need in needs if need.token))


def wants_reproduction(policy: Policy) -> bool:
    """Whether some version has to be trained a second time before it gets anywhere."""
    gates = [e.gates_of(m) for e in policy.environments.values() for m in ("", *e.models)]
    asked = any(g.reads_evidence("reproduced") for g in gates)
    return asked or policy.trust.branch_runs == "reproduce"


def wants_collection(policy: Policy) -> bool:
    """Whether agents report at all: some key may sign what they deployed."""
    return any("deployed" in key.purposes for key in policy.keys.values())


def wants_looks(policy: Policy) -> bool:
    """Whether some key may sign looks, or evaluations of candidates."""
    return any({"look", "canary"} & set(key.purposes) for key in policy.keys.values())


def wants_replays(policy: Policy) -> bool:
    """Whether rules for candidates ask for them, and some key may sign what they say."""
    return wants_looks(policy) and any(rules.replay for rules in policy.candidate_rules)


def wants_exports(source: CiSource) -> bool:
    """Whether gitml.yaml exports some model's traffic."""
    return bool(source.application.traffic and source.application.traffic.export)


def wants_subjects(source: CiSource) -> bool:
    """Whether gitml.yaml declares people, or policy.yaml how long traffic is kept."""
    return source.policy is not None and bool(source.application.subjects or source.policy.retention.periods)


def wants_sites(source: CiSource) -> bool:
    """Whether policy.yaml says what roles see, or gitml.yaml where their sites go."""
    return source.policy is not None and bool(source.policy.views or source.application.sites.publish)


def site_roles(source: CiSource) -> tuple[str, ...]:
    """Those that a site is built for, in the order of policy.yaml."""
    policy, publish = source.policy, source.application.sites.publish
    return tuple(role for role in policy.roles if role in policy.views or role in publish) if policy else ()
