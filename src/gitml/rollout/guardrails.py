"""What a candidate must not break: requests that fail, answers without a value, slow answers.

Each is the share of rows with an event, held against the champion's share and a margin. While events are too few for
anything nearly normal, rates are bounded exactly, from zero events on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gitml.rollout.evaluation import ArmCounts, JudgedPart, StillNeeded
from gitml.rollout.holding import DifferenceGoal, rest, rest_of
from gitml.rollout.observed import Observed, TimedInfluence
from gitml.rollout.reading import TrialRows
from gitml.rollout.rowtable import ANSWERED, FAILED, RowTable
from gitml.rollout.trial import TrialRules
from gitml.stats import asymptoticcs, betabinomial, deltamethod, eventcounts, quantiles, rates
from gitml.stats.asymptoticcs import Side
from gitml.stats.contrast import Contrast, differences
from gitml.stats.influence import mean
from gitml.verdict import Phase

Mask = NDArray[np.bool_]
# The champion's first answers that say what is slow, and how many times their 99th percentile that is.
_FIRST_ANSWERS, _TIMES, _QUANTILE = 1_000, 2.0, 0.99
# A projection looks so many times as far, and is as close as that.
_FARTHEST, _CLOSE = 1e4, 1.1


@dataclass(frozen=True)
class ArmEvents:
    """Rows of one arm that could have had the event, in the table's order, and whether each did."""

    unit: NDArray[np.int64]
    epoch: NDArray[np.int32]
    hit: Mask
    arrived: NDArray[np.int64]

    @classmethod
    def of(cls, table: RowTable, rows: Mask, hit: Mask) -> ArmEvents:
        return cls(table.ids[rows], table.epoch[rows], hit[rows], table.arrived[rows])

    @cached_property
    def first(self) -> Mask:
        """Where a unit, in its epoch, is met first."""
        new = np.ones(len(self.unit), bool)
        new[1:] = (self.unit[1:] != self.unit[:-1]) | (self.epoch[1:] != self.epoch[:-1])
        return new

    @cached_property
    def by_unit(self) -> tuple[NDArray[np.int32], Mask]:
        """The epoch of each unit, and whether any of its rows had the event."""
        starts = np.flatnonzero(self.first)
        any_hit = np.logical_or.reduceat(self.hit, starts) if len(starts) else self.hit
        return self.epoch[starts], any_hit

    def within(self, epoch: int) -> ArmEvents:
        here = self.epoch == epoch
        return ArmEvents(self.unit[here], self.epoch[here], self.hit[here], self.arrived[here])

    @property
    def share(self) -> float | None:
        return float(self.hit.mean()) if len(self.hit) else None


@dataclass(frozen=True)
class _Rates:
    """Events of both arms, and how they are bounded."""

    champion: ArmEvents
    candidate: ArmEvents
    paired: bool

    @property
    def arms(self) -> tuple[ArmEvents, ArmEvents]:
        return self.champion, self.candidate

    @cached_property
    def clustered(self) -> bool:
        """Whether a unit has more than one row in an epoch."""
        return any(not arm.first.all() for arm in self.arms)

    @cached_property
    def epochs(self) -> int:
        most = max((int(arm.epoch.max(initial=0)) for arm in self.arms), default=0) + 1
        old, new = (np.bincount(arm.epoch, minlength=most) for arm in self.arms)
        return int(np.count_nonzero(old + new))

    @cached_property
    def is_exact(self) -> bool:
        """Whether all rows are independent trials of one epoch."""
        return not self.clustered and self.epochs == 1 and all(self.units)

    @cached_property
    def units(self) -> tuple[int, int]:
        return int(self.champion.first.sum()), int(self.candidate.first.sum())

    @cached_property
    def events(self) -> tuple[int, int]:
        return int(self.champion.hit.sum()), int(self.candidate.hit.sum())


def guardrails(rows: TrialRows, rules: TrialRules, paired: bool, failing: float, days: float) -> list[JudgedPart]:
    """``failing``: the error rate of each failure. Latency is judged where both answered real requests, or where the
    rules say what is slow."""
    found = [
        _judged("errors", _errors(rows, paired), rules.errors, rules, failing, days),
        _judged("missing answers", _missing(rows, paired), rules.missing, rules, failing, days),
    ]
    limit = rules.slow_ms or (None if paired else slow_limit(rows.champion))
    if limit is not None:
        name = f"slower than {float(f'{limit:.3g}'):,g} ms"
        slow = _judged(name, _slow(rows, paired, limit), rules.slow, rules, failing, days)
        found.append(replace(slow, reason=slow.reason + percentiles(rows, failing)) if not paired else slow)
    return found


def percentiles(rows: TrialRows, level: float) -> str:
    """Where the 99th percentile of each arm lies, in words: of the first answer of each unit, which are independent.
    '' while that cannot be said."""
    told = []
    for name, table in (("candidate", rows.candidate), ("champion", rows.champion)):
        known = (table.outcome == ANSWERED) & np.isfinite(table.latency) & table.firsts
        found = quantiles.interval(table.latency[known], _QUANTILE, level)
        if not math.isfinite(found.low) or not math.isfinite(found.high):
            return ""
        told.append(f"{found.low:.3g} to {found.high:.3g} ms with the {name}")
    return f"; the 99th percentile is {', '.join(told)}"


def slow_limit(champion: RowTable) -> float | None:
    """Milliseconds: twice the 99th percentile of the champion's first thousand answers. Later ones change it no more,
    so that looking again does not move what is tested; None without any."""
    known = (champion.outcome == ANSWERED) & np.isfinite(champion.latency) & champion.first
    arrived, latency = champion.arrived[known], champion.latency[known]
    if len(arrived) > _FIRST_ANSWERS:
        # Not all rows have to be sorted to find the first of them.
        early = arrived <= np.partition(arrived, _FIRST_ANSWERS)[_FIRST_ANSWERS]
        arrived, latency = arrived[early], latency[early]
    some = latency[np.argsort(arrived, kind="stable")[:_FIRST_ANSWERS]]
    return _TIMES * float(np.quantile(some, _QUANTILE)) if len(some) else None


def _errors(rows: TrialRows, paired: bool) -> _Rates:
    both = [(table.outcome == ANSWERED) | (table.outcome == FAILED) for table in rows.arms]
    # A request that failed has one row, and one of many rows is one request.
    masks = (
        [rows.candidate.first & both[1]] * 2 if paired else [t.first & b for t, b in zip(rows.arms, both, strict=True)]
    )
    return _rates(rows, masks, [table.outcome == FAILED for table in rows.arms], paired)


def _missing(rows: TrialRows, paired: bool) -> _Rates:
    answered = [table.outcome == ANSWERED for table in rows.arms]
    masks = [answered[0] & answered[1]] * 2 if paired else answered
    return _rates(rows, masks, [np.isnan(table.predicted) for table in rows.arms], paired)


def _slow(rows: TrialRows, paired: bool, limit: float) -> _Rates:
    known = [(t.outcome == ANSWERED) & t.first & np.isfinite(t.latency) for t in rows.arms]
    masks = [known[0] & known[1]] * 2 if paired else known
    return _rates(rows, masks, [table.latency > limit for table in rows.arms], paired)


def _rates(rows: TrialRows, masks: Sequence[Mask], hits: Sequence[Mask], paired: bool) -> _Rates:
    arms = [ArmEvents.of(t, m, h) for t, m, h in zip(rows.arms, masks, hits, strict=True)]
    return _Rates(arms[0], arms[1], paired)


def _judged(name: str, found: _Rates, margin: float, rules: TrialRules, failing: float, days: float) -> JudgedPart:
    asked = DifferenceGoal(higher=False, margin=margin, passing=rules.error_rate, failing=failing)
    contrast = _contrast(found) if any(found.events) else None
    low, high = _low(found, contrast, asked.failing), _high(found, contrast, asked.passing)
    phase = asked.phase(low, high)
    # Within epochs, as the difference is.
    champion, candidate = (contrast.champion, contrast.candidate) if contrast else (arm.share for arm in found.arms)
    known = champion is not None and candidate is not None
    needed = _needed(found, contrast, asked, days) if phase is Phase.INCONCLUSIVE and known else None
    difference = candidate - champion if champion is not None and candidate is not None else None
    times = _times(found, failing) if phase is Phase.FAILED else ""
    return JudgedPart(
        "guardrail", name, phase, _words(phase, name, champion, candidate, margin, high) + times, champion, candidate,
        contrast.difference if contrast else difference, low, high, margin,
        ArmCounts(*found.units), ArmCounts(*found.events), needed,
    )  # fmt: skip


def _words(
    phase: Phase, name: str, champion: float | None, candidate: float | None, margin: float, high: float | None
) -> str:
    if champion is None or candidate is None:
        return f"{name}: nothing is known of one arm"
    shares = f"{candidate:.2%} with the candidate, {champion:.2%} with the champion"
    if phase is Phase.FAILED:
        return f"{name}: {shares}: more than the margin of {margin:.2%} apart"
    if phase is Phase.SUCCESSFUL:
        return f"{name}: {shares}: at most {high:.2%} more" if high is not None else f"{name}: {shares}"
    return f"{name}: {shares}: too little is known yet to rule out {margin:.2%} more"


def _times(found: _Rates, level: float) -> str:
    """How many times as many units had the event, at least, by epochs: also where the champion had none."""
    if found.paired:
        return ""
    most = max(int(arm.epoch.max(initial=0)) for arm in found.arms) + 1
    (old, of_old), (new, of_new) = (
        (np.bincount(epoch, hit, most), np.bincount(epoch, minlength=most))
        for epoch, hit in (arm.by_unit for arm in found.arms)
    )
    least = eventcounts.interval(eventcounts.EventCounts(old, new, of_old, of_new), level, side="low").low
    return f", and at least {least:.2g} times as many units with one" if least > 1 else ""


def _contrast(found: _Rates) -> Contrast | None:
    return observed_rates(found.champion, found.candidate, found.paired).contrast


def observed_rates(champion: ArmEvents, candidate: ArmEvents, paired: bool) -> Observed:
    """Shares of rows with the event, by epoch."""
    names = [0] if paired else np.intersect1d(champion.epoch, candidate.epoch).tolist()
    strata = tuple((_part(champion, epoch, paired), _part(candidate, epoch, paired)) for epoch in names)
    return Observed(strata, paired)


def _part(arm: ArmEvents, epoch: int, paired: bool) -> TimedInfluence:
    if paired:
        return TimedInfluence(mean(arm.unit, arm.hit.astype(np.float64)), arm.arrived)
    here = arm.within(epoch)
    starts = np.flatnonzero(here.first)
    hits = np.add.reduceat(here.hit.astype(np.float64), starts) if len(starts) else here.hit.astype(np.float64)
    counts = np.diff(np.append(starts, len(here.hit)))
    return TimedInfluence(deltamethod.ratio(here.unit[starts], hits, counts), here.arrived[starts])


def _high(found: _Rates, contrast: Contrast | None, level: float) -> float | None:
    """Whatever the champion's share is, the difference is not above the candidate's own."""
    near = _interval(found, contrast, level, "high")
    trials, hits = found.units[1], int(found.candidate.by_unit[1].sum())
    if found.is_exact or not all(found.units):
        return near if found.units[0] else None
    if (found.candidate.share or 0.0) > hits / trials:
        # Units with events sent more rows than others: the share of such units bounds no share of rows.
        return near
    own = betabinomial.interval(hits, trials, rates.EXACT * level, side="high").high
    ends = [end for end in (near, own) if end is not None and end < 1.0]
    return min(ends) if ends else None


def _low(found: _Rates, contrast: Contrast | None, level: float) -> float | None:
    """Exact while events are rare: by epoch, since pooled a difference may be that of the weeks."""
    near = _interval(found, contrast, level, "low")
    if found.paired or not all(found.units) or (found.epochs == 1 and not found.clustered):
        return near
    exact = _low_by_epoch(found, rates.EXACT * level)
    return exact if near is None else max(near, exact)


def _low_by_epoch(found: _Rates, level: float) -> float:
    """The mean of lower ends that hold together, weighted as epochs are in a contrast."""
    names = np.intersect1d(found.champion.epoch, found.candidate.epoch).tolist()
    ends, sizes = [], []
    for k, epoch in enumerate(names, start=1):
        old, new = (arm.within(epoch) for arm in found.arms)
        # These parts sum to the level however many epochs there will be.
        ends.append(_least_difference(old, new, level / (k * (k + 1)), clustered=found.clustered))
        sizes.append(len(old.hit) * len(new.hit) / (len(old.hit) + len(new.hit)))
    return float(np.average(ends, weights=sizes)) if ends else -1.0


def _least_difference(old: ArmEvents, new: ArmEvents, level: float, *, clustered: bool) -> float:
    """Rows of a unit are alike: then the candidate's share is bounded by its units, the champion's by those of its
    units that have any event."""
    hits, trials = _units_hit(old)
    if not clustered:
        return betabinomial.difference((hits, trials), _units_hit(new), level, side="low").low
    if not trials or (old.share or 0.0) > hits / trials:
        return -1.0  # units with events sent more rows than others, and bound no share of rows
    own = differences(mean(new.unit, new.hit.astype(np.float64)), champion=0.0)
    least = asymptoticcs.interval(own, level / 2, side="low")
    most = betabinomial.interval(hits, trials, level / 2, side="high").high
    return (least.low if least else 0.0) - most


def _units_hit(arm: ArmEvents) -> tuple[int, int]:
    hit = arm.by_unit[1]
    return int(hit.sum()), len(hit)


def _interval(found: _Rates, contrast: Contrast | None, level: float, side: Side) -> float | None:
    observed = Observed((), found.paired)
    if found.is_exact:
        pairs = [(events, units) for events, units in zip(found.events, found.units, strict=True)]
        if found.paired:
            only = found.candidate.hit & ~found.champion.hit
            other = found.champion.hit & ~found.candidate.hit
            zero = Contrast(0.0, 0.0, 0.0, 0.0, 0.0, found.units, 0.0)
            exact = rates.paired(contrast or zero, int(only.sum()), int(other.sum()), found.units[1], level, side=side)
        else:
            exact = rates.split(contrast, pairs[0], pairs[1], level, side=side)
        end = exact.low if side == "low" else exact.high
        return end if math.isfinite(end) else None
    return observed.bound(contrast, (1 - rates.EXACT) * level, side)


def _needed(found: _Rates, contrast: Contrast | None, asked: DifferenceGoal, days: float) -> StillNeeded | None:
    """By the nearly normal bound, or the exact one of the candidate's own share, whatever comes sooner."""
    near = rest_of(contrast, asked, days)
    hits, trials = _units_hit(found.candidate)

    def enough(factor: float) -> bool:
        level = rates.EXACT * asked.passing
        return betabinomial.interval(hits * factor, trials * factor, level, side="high").high < asked.edge

    if not trials or not enough(_FARTHEST):
        return near
    few, many = 1.0, _FARTHEST
    while many / few > _CLOSE:
        middle = math.sqrt(few * many)
        few, many = (few, middle) if enough(middle) else (middle, many)
    exact = rest(sum(found.units), many, days)
    return exact if near is None else min(near, exact, key=lambda one: one.units)
