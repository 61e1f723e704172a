"""What has to be right before anything is judged: the log, versions, clocks, the number of units, their shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from gitml.rollout.evaluation import ArmCounts, JudgedPart, WeightEpoch
from gitml.rollout.holding import rest
from gitml.rollout.labels import early_labels
from gitml.rollout.reading import TrialRows
from gitml.rollout.rowtable import RowTable
from gitml.rollout.trial import CandidateTrial
from gitml.stats import betabinomial, multipleexposure, sampleratio
from gitml.stats.interval import p_value
from gitml.traffic.marks import Completeness
from gitml.verdict import Phase

# Of all labels; and of shadows that were dropped, when those that are left may no longer be like the others.
_EARLY, _DROPPED = 0.01, 0.5
# GrowthBook warns of a hundredth of units in both arms.
_BOTH = 0.01
_DAY = 86_400.0


def integrity(trial: CandidateTrial, rows: TrialRows, complete: Completeness | None) -> list[JudgedPart]:
    """What is contradictory is an error, what is missing is inconclusive; neither counts against the candidate."""
    found = [_log(complete), _versions(trial, rows), _clocks(rows)]
    if trial.mode == "shadow":
        found.append(_shadows(rows))
    return [part for part in found if part]


def _part(name: str, phase: Phase, reason: str) -> JudgedPart:
    return JudgedPart("integrity", name, phase, reason)


def _log(complete: Completeness | None) -> JudgedPart | None:
    if complete is None or not (complete.hosts or complete.missing):
        return None
    if complete.state != "complete":
        return _part("log", Phase.INCONCLUSIVE, f"not all rows are there: {complete}")
    return _part("log", Phase.SUCCESSFUL, str(complete))


def _versions(trial: CandidateTrial, rows: TrialRows) -> JudgedPart:
    strange = sorted(rows.others, key=lambda name: (-rows.others[name], name))[:3]
    told = ", ".join(f"{name} ({rows.others[name]:,} rows)" for name in strange)
    if rows.mixed:
        why = "one routing had rows of other versions or weights than it says"
        return _part("versions", Phase.ERROR, f"versions were swapped: {why}: {told or ', '.join(rows.mixed[:3])}")
    if trial.mode == "replay" and not len(rows.champion):
        why = f"no answer of {trial.champion.version} was logged in {trial.environment} in that time"
        return _part("versions", Phase.INCONCLUSIVE, f"{why}; the log has {told}" if told else why)
    if not len(rows.candidate):
        rest_of_it = f"; the log has {told}" if told else ""
        return _part("versions", Phase.INCONCLUSIVE, f"no row of {trial.candidate.version} was found{rest_of_it}")
    if not len(rows.champion):
        return _part("versions", Phase.INCONCLUSIVE, f"no row of {trial.champion.version} beside it was found")
    return _part("versions", Phase.SUCCESSFUL, "both versions answered" + (f"; left out: {told}" if told else ""))


def _clocks(rows: TrialRows) -> JudgedPart:
    early = early_labels(rows)
    every = sum(int((table.told >= 0).sum()) for table in rows.arms)
    if early > _EARLY * max(every, 1):
        why = f"{early:,} of {every:,} labels came before their requests"
        return _part("clocks", Phase.ERROR, f"the clocks of those who write traffic disagree: {why}")
    return _part("clocks", Phase.SUCCESSFUL, "labels came after their requests" if every else "no label has come")


def _shadows(rows: TrialRows) -> JudgedPart:
    shown = len(rows.candidate) + rows.dropped
    lost = rows.dropped / shown if shown else 0.0
    reason = f"{lost:.1%} of the requests that the shadow should have seen were dropped under load"
    if lost > _DROPPED:
        return _part("shadow", Phase.INCONCLUSIVE, f"{reason}: those left are of quiet hours")
    return _part("shadow", Phase.SUCCESSFUL, reason)


@dataclass(frozen=True)
class ArmUnits:
    """The units of an arm, once for each epoch that they came in."""

    unit: NDArray[np.int64]
    epoch: NDArray[np.int32]

    @classmethod
    def among(cls, table: RowTable) -> ArmUnits:
        first = table.firsts
        return cls(table.ids[first], table.epoch[first])

    def of(self, epoch: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.unit[self.epoch == epoch]
        return found

    def count(self, epochs: Sequence[int] | None = None) -> int:
        """How many different units, of all epochs or of those."""
        some = np.sort(self.unit if epochs is None else self.unit[np.isin(self.epoch, epochs)])
        # numpy's unique() hashes where it need not tell places, and takes twenty times as long for many different ones.
        return int((some[1:] != some[:-1]).sum()) + bool(len(some))


def units_part(trial: CandidateTrial, rows: TrialRows, units: Sequence[ArmUnits], until: datetime) -> JudgedPart:
    """Whether both have been there long enough, and seen enough units."""
    rules, counts = trial.rules, [arm.count() for arm in units]
    days = elapsed_days(rows, until)
    wait = rules.time.total_seconds() / _DAY - days
    n = ArmCounts(*counts)
    if min(counts) < rules.units:
        needed = rest(sum(counts), rules.units / min(counts), days) if min(counts) else None
        reason = (
            f"{counts[1]:,} units of the candidate and {counts[0]:,} of the champion; {rules.units:,} are the minimum"
        )
        return JudgedPart("traffic", "units", Phase.INCONCLUSIVE, reason, n=n, needed=needed)
    if wait > 0:
        reason = f"both have been there for {days:.1f} days; {rules.time.total_seconds() / _DAY:g} are the minimum"
        needed = rest(sum(counts), 1 + wait / days, days) if days > 0 else None
        return JudgedPart("traffic", "units", Phase.INCONCLUSIVE, reason, n=n, needed=needed)
    reason = f"{counts[1]:,} units of the candidate and {counts[0]:,} of the champion in {days:.1f} days"
    return JudgedPart("traffic", "units", Phase.SUCCESSFUL, reason, n=n)


def elapsed_days(rows: TrialRows, until: datetime) -> float:
    """Since the candidate's first row."""
    if not len(rows.candidate):
        return 0.0
    return max(0.0, (until.timestamp() - int(rows.candidate.arrived.min()) / 1e6) / _DAY)


def epochs_of(rows: TrialRows, units: Sequence[ArmUnits], until: datetime) -> tuple[WeightEpoch, ...]:
    """Each from its first row to the next one's, by time."""
    found = []
    for number, epoch in enumerate(rows.epochs):
        here = [table.epoch == number for table in rows.arms]
        arrived = np.concatenate([t.arrived[mask] for t, mask in zip(rows.arms, here, strict=True)])
        counts = [len(arm.of(number)) for arm in units]
        first, last = (_moment(int(end)) for end in (arrived.min(), arrived.max()))
        found.append(WeightEpoch(epoch.weight, first, min(last, until), ArmCounts(*counts)))
    return tuple(found)


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC)


def sample_ratio(units: Sequence[ArmUnits], epochs: Sequence[WeightEpoch]) -> list[JudgedPart]:
    """Whether each arm got its share of the units, each at its first weight, and whether units stayed in their arms."""
    if not epochs or not any(len(arm.unit) for arm in units):
        return []
    arms = np.repeat([0, 1], [len(arm.unit) for arm in units])
    unit, epoch = (np.concatenate(parts) for parts in zip(*((arm.unit, arm.epoch) for arm in units), strict=True))
    counts = sampleratio.newcomers(unit, arms, epoch).tolist()
    shares = [[1 - e.weight / 100, e.weight / 100] for e in epochs[: len(counts)]]
    evidence = sampleratio.log_evalue(counts, shares)
    p = p_value(evidence)
    total = [sum(arm) for arm in zip(*counts, strict=True)]
    meant = sum(share[1] * sum(count) for share, count in zip(shares, counts, strict=True))
    reason = f"{total[1]:,} units of the candidate, where {meant:,.0f} were expected"
    phase = Phase.INCONCLUSIVE if p <= sampleratio.LEVEL else Phase.SUCCESSFUL
    if phase is Phase.INCONCLUSIVE:
        reason += f" (p {p:.1g}): units are lost or moved, so that the arms cannot be compared"
    whole = sum(total)
    part = JudgedPart(
        "ratio", "sample ratio", phase, reason, total[0] / whole, total[1] / whole,
        total[1] / whole - meant / whole, n=ArmCounts(*total),
    )  # fmt: skip
    return [part, *_exposed_to_both(*multipleexposure.counted(unit, arms, epoch))]


def _exposed_to_both(many: int, every: int) -> list[JudgedPart]:
    if not many:
        return []
    low = betabinomial.interval(many, every, sampleratio.LEVEL, side="low").low
    phase = Phase.INCONCLUSIVE if low > _BOTH else Phase.SUCCESSFUL
    reason = f"{many:,} of {every:,} units were answered by both versions at one weight"
    return [JudgedPart("ratio", "units in both arms", phase, reason, margin=_BOTH)]
