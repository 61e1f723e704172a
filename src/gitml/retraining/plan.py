"""What is to be done about a model now, and why nothing is: the same situation gives the same plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from gitml.retraining.brakes import Brake, PastRetraining, Situation, brakes_on
from gitml.retraining.causes import (
    BY_HAND,
    STALE,
    TrainingCause,
    by_data,
    by_erasure,
    by_looks,
    by_schedule,
    by_upstream,
)
from gitml.spec.retrain import RETRAIN_CAUSES

Do = Literal["open", "keep", "close", "nothing"]


@dataclass(frozen=True)
class JudgedCause:
    """A cause with what holds it up; with nothing it may be opened."""

    cause: TrainingCause
    brakes: tuple[Brake, ...] = ()

    @property
    def is_free(self) -> bool:
        return not self.brakes


@dataclass(frozen=True)
class RetrainPlan:
    """``do`` something about ``cause``: of ``pull`` where one is open. ``why`` says it in a sentence."""

    model: str
    at: datetime
    do: Do
    why: str
    causes: tuple[JudgedCause, ...] = ()
    cause: TrainingCause | None = None
    pull: int = 0
    brakes: tuple[Brake, ...] = ()


def causes_of(one: Situation) -> tuple[TrainingCause, ...]:
    """Every cause that there is, the most urgent first."""
    by = (cause for w in one.watched for cause in by_looks(one.spec, one.rules.looks, one.better, w, one.looks, one.at))
    more = (
        *by_data(one.spec, one.model, one.data, one.at),
        *by_upstream(one.spec, one.model, (*one.upstream, *(told.change for told in one.observed))),
        *by_erasure(one.spec, one.model, one.erased, one.at),
        *by_schedule(one.spec, one.model, one.newest, one.at),
    )
    return tuple(sorted((*by, *more), key=lambda cause: (RETRAIN_CAUSES.index(cause.kind), cause.environment)))


def plan(one: Situation) -> RetrainPlan:
    """At most one retraining of a model is open: it stays while its cause is there, and goes with it."""
    judged = tuple(JudgedCause(cause, brakes_on(one, cause)) for cause in causes_of(one))
    is_open = next((past for past in one.past if past.state == "open"), None)
    if is_open:
        return _about_open(one, judged, is_open)
    free = next((found for found in judged if found.is_free), None)
    if free:
        return RetrainPlan(one.model, one.at, "open", f"{free.cause.kind}: {free.cause.reason}", judged, free.cause)
    return RetrainPlan(one.model, one.at, "nothing", _why_nothing(one, judged), judged)


def plan_all(situations: Sequence[Situation]) -> tuple[RetrainPlan, ...]:
    """Of all models, in their order. What is opened for the most urgent one counts for the others."""
    there = sum(past.state == "open" for one in situations for past in one.past)
    found, hours = {one.model: plan(one) for one in situations}, 0.0
    for one in sorted(situations, key=lambda one: _urgency(found[one.model])):
        own = sum(past.state == "open" for past in one.past)
        now = plan(replace(one, gpu_hours=one.gpu_hours + hours, others=there - own))
        if now.do == "open":
            hours, there = hours + one.spec.cost.gpu_hours, there + 1
        found[one.model] = now
    return tuple(found[one.model] for one in situations)


def _urgency(found: RetrainPlan) -> int:
    return RETRAIN_CAUSES.index(found.cause.kind) if found.do == "open" and found.cause else -1


def _about_open(one: Situation, judged: tuple[JudgedCause, ...], is_open: PastRetraining) -> RetrainPlan:
    # One look that fails keeps it open, so that it does not flap with its alarm.
    still = next((found for found in judged if found.cause.kind == is_open.cause), None)
    cause, brakes = (still.cause, still.brakes) if still else (None, one.final)
    declined = next((brake for brake in brakes if brake.name == "declined"), None)
    if declined:
        return RetrainPlan(one.model, one.at, "close", str(declined), judged, cause, is_open.pull)
    if still or is_open.cause in (BY_HAND, STALE):
        said, final = f"#{is_open.pull} is open for {is_open.cause}", tuple(brake for brake in brakes if brake.is_final)
        return RetrainPlan(one.model, one.at, "keep", said, judged, cause, is_open.pull, final)
    if is_open.cause == "upstream" and one.unknown:  # a repository that cannot be read is no news that it went back
        said = f"#{is_open.pull} is open for upstream, and whether it still applies is not known: {one.unknown[0]}"
        return RetrainPlan(one.model, one.at, "keep", said, judged, None, is_open.pull, one.final)
    return RetrainPlan(one.model, one.at, "close", f"the cause {is_open.cause} is gone", judged, None, is_open.pull)


def _why_nothing(one: Situation, judged: tuple[JudgedCause, ...]) -> str:
    told = [f"{found.cause.kind}: {found.brakes[0]}" for found in judged]
    told += [f"upstream: not known: {why}" for why in one.unknown]
    return "; ".join(told) or "there is no cause"


def by_hand(one: Situation, kind: str = "") -> tuple[TrainingCause | None, tuple[Brake, ...]]:
    """What a person opens, and what forbids even that. ``kind``: a cause that there is; None where there is not."""
    found = next((cause for cause in causes_of(one) if cause.kind == kind), None)
    cause = found if kind else TrainingCause(BY_HAND, one.model, one.at, "a person asked for it")
    return cause, tuple(_forbids(one, cause)) if cause else ()


def _forbids(one: Situation, cause: TrainingCause) -> Iterator[Brake]:
    for brake in brakes_on(one, cause):
        if brake.is_final or brake.name in ("unchanged", "looks"):
            yield brake
    for past in one.past:
        if past.state == "open":
            yield Brake("open", f"#{past.pull} is open for {past.cause}", is_final=True)
