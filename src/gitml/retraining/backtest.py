"""What a policy would have done over a time that is past: the plans of every moment, with the code that plans today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from gitml.retraining.brakes import MONTH, PastRetraining, Situation
from gitml.retraining.causes import version_time
from gitml.retraining.plan import RetrainPlan, plan_all

Situations = Callable[[datetime], Sequence[Situation]]


@dataclass(frozen=True)
class WouldOpen:
    """A retraining that would have been opened. ``ended``: when it was merged, as a newer version on main shows, or
    closed, because its cause was gone or somebody had said no."""

    model: str
    cause: str
    reason: str
    opened: datetime
    ended: datetime | None = None
    how: Literal["open", "merged", "closed"] = "open"


@dataclass(frozen=True)
class MissedHarm:
    """Labels said that a model did worse, and nothing was opened because of ``brake``: at so many ``moments``."""

    model: str
    brake: str
    reason: str
    first: datetime
    last: datetime
    moments: int = 1


@dataclass(frozen=True)
class BackTest:
    """``hours``, ``gpu_hours`` and ``money`` as gitml.yaml expects them of a run."""

    since: datetime
    until: datetime
    opened: tuple[WouldOpen, ...]
    missed: tuple[MissedHarm, ...]
    hours: float
    gpu_hours: float
    money: float


def backtest(since: datetime, until: datetime, moments: Iterable[datetime], situations: Situations) -> BackTest:
    """Plan at each of ``moments``. ``situations`` gives what was known then, without what had been asked for.

    Nobody knows what people would have done: a retraining is taken for merged when main got a newer version of the
    model, whoever trained it, and for open until then, or until its cause is gone.
    """
    run = _Run()
    for at in sorted(moments):
        run.at(at, situations(at))
    cost = {one.model: one.spec.cost for one in situations(until)}
    costs = [cost[one.model] for one in run.found if one.model in cost]
    return BackTest(
        since, until, tuple(run.found), tuple(run.missed.values()),
        sum(c.hours or 0 for c in costs), sum(c.gpu_hours for c in costs), sum(c.money or 0 for c in costs),
    )  # fmt: skip


class _Run:
    """What was opened so far, and what became of it."""

    def __init__(self) -> None:
        self.found: list[WouldOpen] = []
        self.missed: dict[tuple[str, str], MissedHarm] = {}

    def at(self, at: datetime, there: Sequence[Situation]) -> None:
        self.found = [_merged(one, there, at) for one in self.found]
        hours = {one.model: one.spec.cost.gpu_hours for one in there}
        spent = sum(hours.get(one.model, 0.0) for one in self.found if one.opened > at - MONTH)
        known = [replace(one, past=self._past(one), gpu_hours=spent) for one in there]
        for found in plan_all(known):
            self._note(found)

    def _past(self, one: Situation) -> tuple[PastRetraining, ...]:
        return tuple(_as_past(found, one, n) for n, found in enumerate(self.found, 1) if found.model == one.model)

    def _note(self, found: RetrainPlan) -> None:
        if found.do == "open" and found.cause:
            self.found.append(WouldOpen(found.model, found.cause.kind, found.cause.reason, found.at))
        elif found.do == "close":
            self.found[found.pull - 1] = replace(self.found[found.pull - 1], ended=found.at, how="closed")
        elif found.do == "nothing":
            self._miss(found)

    def _miss(self, found: RetrainPlan) -> None:
        for judged in found.causes:
            if judged.cause.kind == "harm" and judged.brakes:
                brake = judged.brakes[0]
                key = (found.model, brake.name)
                new = MissedHarm(found.model, brake.name, str(brake), found.at, found.at)
                old = self.missed.get(key)
                self.missed[key] = replace(old, last=found.at, moments=old.moments + 1) if old else new


def _merged(one: WouldOpen, there: Sequence[Situation], at: datetime) -> WouldOpen:
    newest = next((found.newest for found in there if found.model == one.model), "")
    if one.how == "open" and newest and version_time(newest) > one.opened:
        return replace(one, ended=at, how="merged")
    return one


def _as_past(found: WouldOpen, one: Situation, number: int) -> PastRetraining:
    gained = None
    if found.how == "merged":
        is_promoted = one.promoted is not None and one.promoted > found.opened
        gained = True if is_promoted else False if one.at > found.opened + MONTH else None
    state: Literal["open", "merged", "ended"] = "ended" if found.how == "closed" else found.how
    return PastRetraining(found.cause, (found.opened,), state, number, gained)
