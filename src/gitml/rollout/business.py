"""KPIs of split traffic: what happened to each unit after its first answer, for units old enough in both arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml.rollout.evaluation import JudgedPart
from gitml.rollout.holding import DifferenceGoal
from gitml.rollout.observed import Observed, TimedInfluence
from gitml.rollout.primary import Enough, JudgedSeries, judged
from gitml.rollout.reading import TrialRows
from gitml.rollout.rowtable import RowTable
from gitml.rollout.trial import CandidateTrial, KpiRule, TrialTraffic
from gitml.rollout.unitkeys import Keys, keys_of_texts, mixed_keys
from gitml.stats.influence import mean
from gitml.traffic.reader import Window
from gitml.verdict import Phase

Ints = NDArray[np.int64]
_MICRO = timedelta(microseconds=1)
# Squares of larger ones, added up, are no numbers any more.
_LARGEST = 1e100


@dataclass(frozen=True)
class UnitFacts:
    """What happened: ``unit`` keys, ``time`` in microseconds, ``value``; by unit, then by time.

    Of a sum, ``unfit``: rows of a unit without a value, and ``huge``: those whose value cannot be added up.
    """

    unit: Ints
    time: Ints
    value: NDArray[np.float64]
    unfit: int = 0
    huge: int = 0


def kpi(
    rule: KpiRule,
    trial: CandidateTrial,
    rows: TrialRows,
    traffic: TrialTraffic,
    failing: float,
    when: tuple[float, datetime],
) -> JudgedSeries:
    """``when``: days that have passed, and the end. Units count by the arm and epoch of their first answer, and only if
    all of ``within`` lies in that epoch: later the weight may have moved them to the other arm."""
    if not all(table.named.any() for table in rows.arms):
        return _open(rule, "requests name no units, so nothing that happened can be told of one")
    until = when[1]
    facts = facts_of(rule, traffic, Window(trial.since, until, trial.at))
    if facts.unfit or facts.huge:
        what = (
            f"{facts.unfit:,} of its rows have no value"
            if facts.unfit
            else f"{facts.huge:,} of its rows have a value that cannot be added up"
        )
        return _open(rule, f"{what}: mend them or leave them out")
    within = rule.spec.within // _MICRO
    strata, events = [], [0, 0]
    for epoch in range(len(rows.epochs)):
        end = _end(rows, epoch, until)
        cohorts = [_cohort(table, epoch, end - within) for table in rows.arms]
        if min(len(unit) for unit, _ in cohorts) < 2:
            continue
        pair = []
        for arm, (unit, first) in enumerate(cohorts):
            values, hit = _values(facts, unit, first, within, rule.spec.value)
            events[arm] += hit
            pair.append(TimedInfluence(mean(unit, values), first + within))
        strata.append((pair[0], pair[1]))
    if not strata:
        return _open(
            rule, f"no unit was answered {rule.spec.within.total_seconds() / 86_400:g} days ago at one weight yet"
        )
    asked = DifferenceGoal(rule.spec.better == "higher", rule.margin, trial.rules.error_rate, failing)
    name = f"{rule.name} ({rule.spec.unit})" if rule.spec.unit else rule.name
    return judged(
        "kpi",
        name,
        Observed(tuple(strata), False, by_day=trial.rules.clusters == "day"),
        asked,
        when,
        Enough(events, trial.rules.events),
    )


def _open(rule: KpiRule, why: str) -> JudgedSeries:
    return JudgedSeries(JudgedPart("kpi", rule.name, Phase.INCONCLUSIVE, f"{rule.name}: {why}"))


def _end(rows: TrialRows, epoch: int, until: datetime) -> int:
    """The last row of an epoch that is over, the end of the window for the one that runs."""
    last = max(int(table.arrived[table.epoch == epoch].max(initial=0)) for table in rows.arms)
    newest = max(int(table.arrived.max(initial=0)) for table in rows.arms)
    return round(until.timestamp() * 1e6) if last == newest else last


def _cohort(table: RowTable, epoch: int, newest: int) -> tuple[Ints, Ints]:
    """Units whose first answer of the epoch is not newer, and when it was."""
    here = (table.epoch == epoch) & table.named
    unit, arrived = table.ids[here], table.arrived[here]
    new = np.ones(len(unit), bool)
    new[1:] = unit[1:] != unit[:-1]
    unit, arrived = unit[new], arrived[new]
    old = arrived <= newest
    return unit[old], arrived[old]


def _values(facts: UnitFacts, unit: Ints, first: Ints, within: int, kind: str) -> tuple[NDArray[np.float64], int]:
    """Of each unit; and how many units something happened to. Units stand in order."""
    place = np.minimum(np.searchsorted(unit, facts.unit), max(len(unit) - 1, 0))
    mine = (unit[place] == facts.unit) & (facts.time >= first[place]) & (facts.time < first[place] + within)
    counts = np.bincount(place[mine], minlength=len(unit))
    if kind == "sum":
        return np.bincount(place[mine], facts.value[mine], len(unit)).astype(np.float64), int((counts > 0).sum())
    values = counts if kind == "count" else counts > 0
    return values.astype(np.float64), int((counts > 0).sum())


def facts_of(rule: KpiRule, traffic: TrialTraffic, window: Window) -> UnitFacts:
    """Of the business event, or of the table, that the KPI names."""
    batches = traffic.events(window) if rule.spec.event else traffic.facts(rule, window)
    parts = list(_facts(batches, rule.spec.event, window))
    unit, time, value, key = (
        np.concatenate([part[n] for part in parts]) if parts else np.zeros(0, kind)
        for n, kind in enumerate((np.int64, np.int64, np.float64, np.uint64))
    )
    once = np.zeros(len(key), bool)
    once[np.unique(key, return_index=True)[1]] = True
    whose = once & (unit != 0) & (time >= 0)
    unit, time, value = unit[whose], time[whose], value[whose]
    unfit = huge = 0
    if rule.spec.value == "sum":
        # One arm's alone may be missing, so what is left is no fair sum.
        unfit, huge = int(np.isnan(value).sum()), int((np.abs(value) > _LARGEST).sum())
    order = np.lexsort((time, unit))
    return UnitFacts(unit[order], time[order], value[order], unfit, huge)


def _facts(
    batches: Iterator[Any], event: str | None, window: Window
) -> Iterator[tuple[Ints, Ints, NDArray[np.float64], Keys]]:
    """Of each row as well what it is known by: of two with one key the first counts."""
    low, high = (
        (moment or datetime(1970, 1, 1, tzinfo=UTC)).timestamp() * 1e6 for moment in (window.since, window.until)
    )
    for batch in batches:
        mine = batch.filter(pc.fill_null(pc.equal(batch["name"], event), False)) if event else batch
        time = pc.fill_null(mine["time"].cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
        inside = (time >= low) & (time < high)
        value = mine["value"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        unit = keys_of_texts(mine["unit"])
        key = _known_by(mine, unit, time, value)
        yield unit.view(np.int64)[inside], time[inside], value[inside], key[inside]


def _known_by(batch: Any, unit: Keys, time: Ints, value: NDArray[np.float64]) -> Keys:
    """The sender's id; without one unit, time and value: two that agree in all of these are one, sent twice."""
    said = mixed_keys(mixed_keys(unit, time.view(np.uint64)), value.view(np.uint64))
    if "id" not in batch.schema.names:
        return said
    ids = keys_of_texts(batch["id"])
    source = keys_of_texts(batch["source"]) if "source" in batch.schema.names else np.zeros(len(ids), np.uint64)
    return np.where(ids > 0, mixed_keys(ids, source), said)
