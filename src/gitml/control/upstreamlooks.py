"""What the monitors of upstreams saw last: signed looks, from the branch of looks where each upstream is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.control.looks import looks_on
from gitml.control.upstreams import OtherMain, Upstreams
from gitml.errors import GitmlError
from gitml.evidence.looks import SignedLook, began
from gitml.gates.facts import Unknown
from gitml.registry.resolve import deployment_path
from gitml.spec.modelgraph import ModelAt, upstream_at
from gitml.spec.upstream import UpstreamNeed
from gitml.verdict import Phase

# How far back looks are read: for longer than this nobody looked.
_BACK = timedelta(days=60)


@dataclass(frozen=True)
class UpstreamAlarm:
    """An upstream whose newest look fails. ``failed``: the verdicts that do, with their reasons; ``since`` is the end
    of the first window that failed, ``until`` that of the newest. ``url`` leads to what its monitor says."""

    model: str
    environment: str
    version: str
    failed: Mapping[str, str]
    since: datetime
    until: datetime
    url: str


def upstream_alarms(upstreams: Upstreams, model: str, environment: str) -> tuple[UpstreamAlarm | Unknown, ...]:
    """Of all models that ``model`` is built on, where they must run for ``environment``, those that alarm.

    An upstream that nobody watches is none. Whose looks cannot be read is an ``Unknown`` with the reason.
    """
    needs = upstreams.main.application().models[model].needs
    found = (_alarm(upstreams, key, need, need.environment or environment) for key, need in needs.items())
    return tuple(one for one in found if one is not None)


def _alarm(upstreams: Upstreams, key: str, need: UpstreamNeed, environment: str) -> UpstreamAlarm | Unknown | None:
    at = upstream_at(key, need, upstreams.here)
    other = upstreams.other(at, need)
    if isinstance(other, Unknown):
        return other
    try:
        history = _history(other, at.model, environment)
        if not history:
            return None
        verdicts = history[-1].details.look.verdicts
        failed: dict[str, str] = {part: v.reason for part, v in verdicts.items() if v.phase is Phase.FAILED}
        if not failed:
            return None
        since = min(began(part, history).window[1] for part in failed)
        named = str(at) if need.is_elsewhere else at.model
        url = _page(upstreams, other, at, environment)
        return UpstreamAlarm(named, environment, history[-1].version, failed, since, history[-1].window[1], url)
    except GitmlError as exc:
        return Unknown(f"the looks at {at} cannot be read: {exc.message.splitlines()[0]}")


def _history(other: OtherMain, model: str, environment: str) -> tuple[SignedLook, ...]:
    """The looks at the version that main has there, oldest first."""
    state = other.main.deployment(model, environment)
    if state is None:
        return ()
    looks = looks_on(other.main.git, other.remote, other.rules, other.rules.now - _BACK)
    pin = state.champion
    return tuple(
        look for look in looks.of(model, environment) if (look.version, look.said.artifact) == (pin.version, pin.digest)
    )


def _page(upstreams: Upstreams, other: OtherMain, at: ModelAt, environment: str) -> str:
    """The pull request that brought its champion, where its monitor comments; of another repository its page."""
    place = upstreams.place
    if at.repository:
        return other.web
    past = next(other.main.history(deployment_path(at.model, environment)), None)
    try:
        pulls = [p for p in place.forge.pulls.of_commit(past.commit) if p.is_merged] if past else []
    except GitmlError:
        pulls = []
    return place.page(f"pull/{pulls[0].number}") if pulls else other.web
