"""What holds a retraining up: in words, with the moment at which it ends, where that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from gitml.policy.freezes import moment
from gitml.registry.erasures import Erasure
from gitml.retraining.causes import (
    DataChange,
    NamedLook,
    TrainingCause,
    UpstreamChange,
    WatchedVersion,
    looks_at,
    version_time,
)
from gitml.retraining.observed import ObservedUpstream
from gitml.spec.application import Direction
from gitml.spec.retrain import RETRAIN_CAUSES, RetrainRules, RetrainSpec
from gitml.verdict import Phase

MONTH, WEEK = timedelta(days=30), timedelta(days=7)
_FOREVER = datetime.max


@dataclass(frozen=True)
class Brake:
    """``is_final``: nobody opens a retraining while it lasts, a person neither. ``until`` None: it ends when what it
    says is no more."""

    name: str
    reason: str
    until: datetime | None = None
    is_final: bool = False

    def __str__(self) -> str:
        return f"{self.reason} (until {moment(self.until)})" if self.until else self.reason


@dataclass(frozen=True)
class PastRetraining:
    """A retraining that was asked for. ``runs``: when each of its trainings was, the first is when it was asked for.

    ``state``: ``ended`` was closed by the bot, since its cause was gone; ``closed`` by people. ``gained``: whether its
    version became champion somewhere; None while that is not decided. ``comments``: the bot's of the last week.
    """

    cause: str
    runs: tuple[datetime, ...]
    state: Literal["open", "merged", "closed", "ended"]
    pull: int = 0
    gained: bool | None = None
    comments: int = 0

    @property
    def asked(self) -> datetime:
        return self.runs[0]


@dataclass(frozen=True)
class Declined:
    """Somebody said no to a cause, on the ledger."""

    cause: str
    by: str
    reason: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Situation:
    """All that is known of one model ``at`` a moment. Who knows it plans, and nothing else is looked at.

    ``newest`` is the newest version on main. ``final``: freezes, holds and candidates that forbid it. ``changes``:
    whether what is to be set differs from what main has. ``gpu_hours``: of all models in the last 30 days, ``others``:
    how many retrainings of other models are open. ``promoted``: when a version last became champion somewhere.
    ``upstream`` is what main shows, ``observed`` what runs in other repositories, and ``unknown`` says why that is not
    known of some.
    """

    model: str
    at: datetime
    spec: RetrainSpec
    rules: RetrainRules
    newest: str = ""
    better: Mapping[str, Direction] = field(default_factory=dict)
    watched: tuple[WatchedVersion, ...] = ()
    looks: tuple[NamedLook, ...] = ()
    data: tuple[DataChange, ...] = ()
    upstream: tuple[UpstreamChange, ...] = ()
    observed: tuple[ObservedUpstream, ...] = ()
    unknown: tuple[str, ...] = ()
    erased: tuple[Erasure, ...] = ()
    past: tuple[PastRetraining, ...] = ()
    declined: tuple[Declined, ...] = ()
    final: tuple[Brake, ...] = ()
    changes: bool = True
    gpu_hours: float = 0.0
    others: int = 0
    promoted: datetime | None = None


def brakes_on(one: Situation, cause: TrainingCause) -> tuple[Brake, ...]:
    """All that holds this cause up, the final ones first."""
    return (*_contract(one), *one.final, *_of_cause(one, cause), *_of_model(one))


def _contract(one: Situation) -> Iterator[Brake]:
    """A model that is trained on broken data learns what is broken."""
    for watched in one.watched:
        mine = looks_at(watched, one.looks)
        quality = mine[-1].details.look.verdicts.get("quality") if mine else None
        if quality and quality.phase is Phase.FAILED:
            said = f"the data break their contract in {watched.environment}: {quality.reason}"
            yield Brake("contract", said, is_final=True)


def _of_cause(one: Situation, cause: TrainingCause) -> Iterator[Brake]:
    if not cause.stands:
        yield Brake("looks", _too_weak(one, cause))
    if cause.kind in RETRAIN_CAUSES and cause.kind not in one.rules.open:
        yield Brake("person", f"a person opens it: gitml retrain open {one.model} --cause {cause.kind}")
    for no in one.declined:
        if no.cause == cause.kind and no.since <= one.at < no.until:
            yield Brake("declined", f"{no.by} said no to {cause.kind}: {no.reason}", no.until)
    refused = [p for p in one.past if p.cause == cause.kind and p.state == "closed" and p.runs[-1] >= cause.since]
    if refused:
        yield Brake("closed", f"#{refused[-1].pull} proposed that, and was closed")
    if not one.changes and cause.kind not in ("new_data", "upstream", "erasure"):
        yield Brake("unchanged", "nothing that is to be set differs from what the default branch has")


def _too_weak(one: Situation, cause: TrainingCause) -> str:
    if cause.kind == "new_data":
        return f"the data must have grown by {one.spec.grown_by:.0%}: {cause.reason}"
    return f"{one.rules.looks.failed} of {one.rules.looks.of} looks must fail: {cause.reason}"


def too_early(model: str, newest: str, rules: RetrainRules, at: datetime) -> Brake | None:
    """The cool-down of the newest version on main, which the gate can tell from main alone."""
    ends = version_time(newest) + rules.cool_down if newest else at
    return Brake("cool-down", f"{model} was trained on {version_time(newest):%Y-%m-%d}", ends) if at < ends else None


def too_many(rules: RetrainRules, runs: Sequence[datetime], at: datetime) -> Brake | None:
    """The quota, by the moments of earlier ``runs``."""
    lately = sorted(run for run in runs if at - MONTH < run <= at)
    if len(lately) < rules.runs:
        return None
    said = f"{len(lately)} retrainings in 30 days, at most {rules.runs} are allowed"
    return Brake("runs", said, lately[-rules.runs] + MONTH)


def too_costly(rules: RetrainRules, hours: float) -> Brake | None:
    """The quota of GPU hours. ``hours``: of all models in 30 days, this retraining's among them."""
    if rules.gpu_hours is None or hours <= rules.gpu_hours:
        return None
    return Brake("gpu-hours", f"{hours:g} GPU hours in 30 days with this one, at most {rules.gpu_hours:g} are allowed")


def _of_model(one: Situation) -> Iterator[Brake]:
    rules = one.rules
    runs = sorted(run for past in one.past for run in past.runs if run <= one.at)
    newest = max([*runs[-1:], *([version_time(one.newest)] if one.newest else [])], default=None)
    if newest and one.at < newest + rules.cool_down:
        what = "was trained" if not runs or newest > runs[-1] else "was to be trained again"
        yield Brake("cool-down", f"{one.model} {what} on {newest:%Y-%m-%d}", newest + rules.cool_down)
    if many := too_many(rules, runs, one.at):
        yield many
    own = one.spec.cost.gpu_hours
    if own and (costly := too_costly(rules, one.gpu_hours + own)):
        yield costly
    if one.others >= rules.at_once:
        yield Brake("at-once", f"{one.others} retrainings are open, at most {rules.at_once} are allowed")
    if (vain := len(without_gain(one))) >= rules.without_gain:
        said = f"retraining does not help: {vain} in a row brought no champion"
        yield Brake("no-gain", said)


def without_gain(one: Situation) -> Sequence[PastRetraining]:
    """Those since a version last became champion that brought none: closed by people, or merged for nothing."""
    since = one.promoted or _FOREVER.replace(year=1, tzinfo=one.at.tzinfo)
    return [past for past in one.past if past.gained is False and past.asked > since]
