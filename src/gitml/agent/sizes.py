"""What the versions that main names for an environment take of a machine, as main's job measured and signed it.

Evidence `evaluated` is of one version by itself. A server's process holds all that an environment names, so their
memory adds up, libraries that they share included: more than it takes, and never less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gitml.agent.source import Mirror, Wanted
from gitml.agent.trust import policy_at
from gitml.errors import SpecError
from gitml.evidence.reader import EvidenceRules, by_time, read
from gitml.evidence.trust import Believed
from gitml.gates.verdicts import number
from gitml.spec.deployment import Deployment, Pin, parse_deployment

# Seconds of a core that HTTP, JSON and the log take for a request, beside the model: what `gitml size` measures of a
# logistic regression.
REQUEST = 0.00025
# The most of the time that a process is busy, as in `gitml size`.
_BUSY = 0.7
_MOST_MB, _MOST_RATE = 1e8, 1e9


@dataclass(frozen=True)
class MeasuredVersion:
    """``memory``: MB of a process that has loaded it; ``row``: seconds of a core for a row, 32 at a time; ``evidence``:
    the event that says so."""

    name: str
    memory: float
    row: float
    evidence: str


@dataclass(frozen=True)
class EnvironmentSize:
    """``versions`` were measured, ``missing`` says of the others why not. ``request``: seconds of a core that the model
    takes for a request, of the slowest model: its champion's or canary's, and its shadows'."""

    versions: tuple[MeasuredVersion, ...] = ()
    missing: tuple[str, ...] = ()
    request: float = 0.0

    @property
    def memory(self) -> float:
        """MB of a process that holds all that were measured."""
        return sum(one.memory for one in self.versions)

    def processes(self, rate: float) -> int:
        """How many answer ``rate`` requests of one row a second, each on a core of its own.

        >>> EnvironmentSize(request=0.00175).processes(1000.0)
        3
        """
        return max(1, math.ceil(rate * (self.request + REQUEST) / _BUSY))


def environment_size(
    mirror: Mirror, environment: str, repository: str, now: datetime, host: str = ""
) -> EnvironmentSize:
    """Of what ``mirror`` has fetched. Raises UntrustedError where main has no policy.yaml that can be read."""
    heads = mirror.heads()
    rules = EvidenceRules(policy_at(mirror, heads.main)[1], repository, now, host)
    told = read(mirror.folder, heads.ledger, rules, whole=False).events if heads.ledger else ()
    newest = {(one.model, one.version, one.artifact): one for one in sorted(told, key=by_time) if _counts(one)}
    measured, missing, requests = list[MeasuredVersion](), list[str](), [0.0]
    for wanted in mirror.wanted(heads.main, environment).values():
        deployment = _deployment(wanted)
        if isinstance(deployment, str):
            missing.append(deployment)
            continue
        found = {pin: _measured(wanted.model, pin, newest) for pin in deployment.pins if not deployment.retired}
        measured += [one for one in found.values() if isinstance(one, MeasuredVersion)]
        missing += [one for one in found.values() if isinstance(one, str)]
        requests.append(_request(deployment, found))
    return EnvironmentSize(tuple(measured), tuple(missing), max(requests))


def _counts(one: Believed) -> bool:
    return bool(one) and one.kind == "evaluated" and one.result != "failed"


def _deployment(wanted: Wanted) -> Deployment | str:
    if wanted.problem:
        return wanted.problem
    try:
        return parse_deployment(wanted.content, wanted.path)
    except SpecError as exc:
        return exc.message.splitlines()[0]


def _measured(model: str, pin: Pin, newest: Mapping[tuple[str, str, str], Believed]) -> MeasuredVersion | str:
    """From the newest signed trial of these bytes; or why nothing is known of them."""
    name = f"{model}@{pin.version.rpartition('-')[2]}"
    one = newest.get((model, pin.version, pin.digest))
    if one is None:
        return f"no evidence `evaluated` that counts speaks of {name}"
    told = one.details.get("sizing")
    memory = number(told.get("memory_mb")) if isinstance(told, Mapping) else None
    rate = number(one.details.get("rows_per_second"))
    if memory is None or rate is None or not (0 < memory < _MOST_MB and 0 < rate < _MOST_RATE):
        return f"the newest evidence `evaluated` of {name} says nothing of memory and speed"
    return MeasuredVersion(name, memory, 1 / rate, one.name)


def _request(deployment: Deployment, found: Mapping[Pin, MeasuredVersion | str]) -> float:
    """Shadows see a request beside the version that answers it."""
    rows = {pin: one.row for pin, one in found.items() if isinstance(one, MeasuredVersion)}
    answering = max((rows.get(pin, 0.0) for pin in (deployment.champion, deployment.canary) if pin), default=0.0)
    return answering + sum(rows.get(pin, 0.0) * pin.sample / 100 for pin in deployment.shadow)
