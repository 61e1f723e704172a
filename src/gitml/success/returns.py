"""What a change of a model brought a month against what it took: training, serving, review, at declared prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gitml.spec.kpis import Costs

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Effort:
    """What a change took. ``training``: minutes of runners by their name under `hardware`; None where nobody knows.
    ``reviews``: people who approved."""

    training: Mapping[str, float] | None
    reviews: int
    model: str


@dataclass(frozen=True)
class ReturnOnChange:
    """In ``currency``. ``once``: ``training`` and ``review``; ``monthly``: serving. ``pays_back``: months until that
    is earned, None where it never is or the effect is not clear. ``unknown``: what no price or number is there for."""

    currency: str
    once: float
    monthly: float
    gain: tuple[float, float, float] | None
    pays_back: float | None
    unknown: tuple[str, ...] = ()
    training: float = 0.0
    review: float = 0.0


def return_on(costs: Costs, effort: Effort, gains: Sequence[tuple[float, float, float]]) -> ReturnOnChange:
    """``gains``: of each KPI that clearly changed and is money, what a month brings with its interval; they add up. One
    that did not clearly change earns nothing and costs nothing."""
    unknown: list[str] = []
    training, review = _training(costs, effort, unknown), _reviews(costs, effort, unknown)
    once = training + review
    monthly = costs.serving_month.get(effort.model)
    if monthly is None:
        unknown.append(f"what serving {effort.model} costs (`serving_month`)")
    gain = (sum(g[0] for g in gains), sum(g[1] for g in gains), sum(g[2] for g in gains)) if gains else None
    left = gain[0] - (monthly or 0.0) if gain else 0.0
    back = once / left if left > 0 else None
    return ReturnOnChange(costs.currency, once, monthly or 0.0, gain, back, tuple(unknown), training, review)


def _training(costs: Costs, effort: Effort, unknown: list[str]) -> float:
    if effort.training is None:
        unknown.append("how long training took")
        return 0.0
    lacking = sorted(set(effort.training) - set(costs.runner_minute))
    unknown += [f"what a minute of {name} costs (`runner_minute`)" for name in lacking]
    return sum(minutes * costs.runner_minute.get(name, 0.0) for name, minutes in effort.training.items())


def _reviews(costs: Costs, effort: Effort, unknown: list[str]) -> float:
    if costs.review_hour is None:
        unknown.append("what an hour of review costs (`review_hour`)")
        return 0.0
    return effort.reviews * (costs.review / _HOUR) * costs.review_hour
