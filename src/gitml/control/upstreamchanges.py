"""Which upstreams in other repositories have moved on: a champion there that the newest version here does not know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from gitml.control.upstreams import Upstreams
from gitml.errors import GitmlError
from gitml.gates.facts import Unknown
from gitml.registry.deploymentpast import champion_since
from gitml.registry.record import Record
from gitml.retraining.observed import Downstream, ObservedUpstream
from gitml.spec.deployment import Pin
from gitml.spec.modelgraph import upstream_at
from gitml.spec.upstream import UpstreamNeed


@dataclass(frozen=True)
class SeenElsewhere:
    """``moved``: what runs in other repositories and is new to the model. ``unknown``: why that cannot be told of some;
    nothing is trained because of those."""

    moved: tuple[ObservedUpstream, ...] = ()
    unknown: tuple[str, ...] = ()


def seen_elsewhere(upstreams: Upstreams, model: str, at: datetime) -> SeenElsewhere:
    """Of every model that ``model`` needs of another repository, where it must run; by the order of `needs`.

    An upstream runs where its own main pins it and evidence says so that its own policy.yaml believes: the gate
    ``upstream`` asks for the same.
    """
    main = upstreams.main
    one = Downstream(main.application(), main.tree, upstreams.here, model)
    newest = one.newest if one.elsewhere else None
    if newest is None:
        return SeenElsewhere()
    found = [
        _seen(upstreams, newest, (key, need), place, at)
        for key, need in one.elsewhere.items()
        for place in one.places(need)
    ]
    moved = tuple(told for told in found if isinstance(told, ObservedUpstream))
    return SeenElsewhere(moved, tuple(told.reason for told in found if isinstance(told, Unknown)))


def _seen(
    upstreams: Upstreams, newest: Record, named: tuple[str, UpstreamNeed], environment: str, at: datetime
) -> ObservedUpstream | Unknown | None:
    """None where what runs there is what it was made with."""
    fact = upstreams.fact(*named, environment, newest)
    where, running, used = f"{fact.model} in {environment}", fact.running, fact.used
    if isinstance(running, Unknown):
        return Unknown(f"{where}: {running.reason}")
    if isinstance(used, Unknown):
        return Unknown(f"{where}: {used.reason}")
    if running in used:
        return None
    names = tuple(dict.fromkeys(name for name, _ in used))
    if running[0] in names:
        return Unknown(f"{where}: {running[0]} runs there in other bytes than {newest.version} was made with")
    try:
        found = _told(upstreams, named, environment, Pin(version=running[0], digest=running[1]), names)
    except (GitmlError, ValidationError) as exc:
        return Unknown(f"{where}: {str(exc).splitlines()[0]}")
    # Commits can claim any time, and one that is yet to come would make every refusal an old one.
    if isinstance(found, ObservedUpstream) and found.since > at:
        return Unknown(
            f"{where}: its main dates {running[0]} to {found.since:%Y-%m-%d %H:%M} UTC, which is yet to come"
        )
    return found


def _told(
    upstreams: Upstreams, named: tuple[str, UpstreamNeed], environment: str, runs: Pin, used: tuple[str, ...]
) -> ObservedUpstream | Unknown:
    key, need = named
    at = upstream_at(key, need, upstreams.here)
    other = upstreams.other(at, need)
    if isinstance(other, Unknown):
        return other
    main = other.main
    since = champion_since(main.git, main.commit, at.model, environment, runs)
    if since is None:
        return Unknown(f"{at} in {environment}: its main dates {runs.version} to a time that no calendar has")
    return ObservedUpstream(
        need=key, repository=at.repository, branch=need.branch, application=at.application, model=at.model,
        environment=environment, commit=main.commit, runs=runs.version, artifact=runs.digest, trained_with=used,
        since=since,
    )  # fmt: skip
