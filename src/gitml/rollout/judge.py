"""The judgement: a pure function of traffic, rules, pins and a moment.

In order: is the log right and fresh, is there enough, are the arms as they should be, are guardrails kept, do answers
differ, and then the metric on labels and the KPIs. A pass is an intersection, so each part keeps the whole error rate;
a failure is a union, so they share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gitml.rollout.business import kpi
from gitml.rollout.disagreement import disagreement
from gitml.rollout.evaluation import Evaluation, JudgedPart, WeightEpoch, WeightStep
from gitml.rollout.guardrails import guardrails
from gitml.rollout.integrity import ArmUnits, elapsed_days, epochs_of, integrity, sample_ratio, units_part
from gitml.rollout.labels import coverage_parts, label_state, matured
from gitml.rollout.primary import JudgedSeries, primary
from gitml.rollout.reading import TrialRows, read_rows
from gitml.rollout.trial import CandidateTrial, TrialRules, TrialTraffic
from gitml.traffic.marks import Completeness
from gitml.traffic.reader import Window
from gitml.verdict import Phase

# So many ends of a look's grid are tried until all hosts have passed one.
_TRIES = 3
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_RATIO_BLOCKS = ("integrity", "traffic", "ratio")


def judge(trial: CandidateTrial, traffic: TrialTraffic) -> Evaluation:
    """Raises what reading traffic raises. The same traffic, as known at the trial's moment, gives the same bytes."""
    until, complete = _end(trial, traffic)
    nothing = _nothing(trial, until)
    if until <= trial.since:
        why = "the test has just begun: not one look's time is over"
        return replace(nothing, reason=why)
    rows = read_rows(trial, traffic, Window(trial.since, until, trial.at))
    checks = integrity(trial, rows, complete)
    begun = replace(nothing, parts=tuple(checks), notes=(*trial.notes, *_notes(trial, rows)))
    wrong = [part for part in checks if part.phase is not Phase.SUCCESSFUL]
    if any(part.phase is Phase.ERROR for part in wrong) or not (len(rows.champion) and len(rows.candidate)):
        first = max(wrong, key=lambda part: part.phase is Phase.ERROR)
        return _expiring(replace(begun, phase=first.phase, reason=first.reason), trial)
    return _expiring(_judged(begun, trial, traffic, rows, until), trial)


def _end(trial: CandidateTrial, traffic: TrialTraffic) -> tuple[datetime, Completeness | None]:
    """The newest end of a look that all hosts have passed, or the newest one with what is missing."""
    newest = last_tick(min(trial.at, trial.ends), trial.every)
    if trial.ends <= trial.at:
        newest = trial.ends
    asked: list[tuple[datetime, Completeness | None]] = []
    for back in range(_TRIES):
        end = newest - back * trial.every
        if end <= trial.since:
            break
        asked.append((end, traffic.complete(end - trial.every, end)))
        known = asked[-1][1]
        if known is None or known.state != "waiting":
            return asked[-1]
    return asked[0] if asked else (newest, None)


def last_tick(at: datetime, every: timedelta) -> datetime:
    """The newest end of a look.

    >>> last_tick(datetime(2026, 3, 2, 12, 20, tzinfo=UTC), timedelta(hours=1)).isoformat()
    '2026-03-02T12:00:00+00:00'
    """
    return at - (at - _FIRST) % every


def _nothing(trial: CandidateTrial, until: datetime) -> Evaluation:
    return Evaluation(
        trial.model, trial.environment, trial.mode, trial.candidate, trial.champion, trial.digest, trial.since,
        max(until, trial.since), trial.at, Phase.INCONCLUSIVE, "", scheduled=trial.scheduled, notes=trial.notes,
        next_look=last_tick(trial.at, trial.every) + trial.every, ends=trial.ends,
        step=WeightStep(trial.weight, trial.next_step, ready=False),
    )  # fmt: skip


def _judged(
    begun: Evaluation, trial: CandidateTrial, traffic: TrialTraffic, rows: TrialRows, until: datetime
) -> Evaluation:
    rules, days = trial.rules, elapsed_days(rows, until)
    failing = rules.error_rate / _ways_to_fail(rules, trial)
    labels = matured(rows, rules, until, trial.paired)
    units = [ArmUnits.among(table) for table in rows.arms]
    epochs = () if trial.paired else epochs_of(rows, units, until)
    first = primary(trial, rows, labels, failing, days, until) if _on_labels(rules, trial) else None
    kpis = (
        []
        if trial.paired
        else [
            kpi(rule, trial, rows, traffic, failing, (days, until))
            for rule in (*([rules.kpi] if rules.kpi else []), *rules.kpis)
        ]
    )
    main = first or (kpis[0] if kpis else None)
    rails = guardrails(rows, rules, trial.paired, failing, days)
    ratio = sample_ratio(units, epochs)
    parts = [
        *begun.parts,
        *(coverage_parts(rows, labels, rules) if first else []),
        units_part(trial, rows, units, until),
        *ratio,
        *rails,
        *disagreement(trial, rows, failing),
        *([first.part] if first else [] if kpis else [_no_metric(trial)]),
        *(one.part for one in kpis),
    ]
    phase, reason = _decided(parts, main)
    bad = any(part.phase is Phase.FAILED for part in parts)
    step = begun.step if bad else _step(trial, units, begun, [*ratio, *rails], epochs)
    return replace(
        begun, phase=phase, reason=reason, parts=tuple(parts), epochs=epochs, labels=label_state(rows, labels),
        series=main.series if main else (), step=step,
    )  # fmt: skip


def _on_labels(rules: TrialRules, trial: CandidateTrial) -> bool:
    """A KPI needs split traffic; a shadow is judged on labels all the same."""
    return rules.kpi is None or (trial.paired and bool(rules.metric))


def _no_metric(trial: CandidateTrial) -> JudgedPart:
    name = trial.rules.kpi.name if trial.rules.kpi else "metric"
    return JudgedPart("primary", name, Phase.INCONCLUSIVE, f"{name}: a KPI can be judged on split traffic only")


def _ways_to_fail(rules: TrialRules, trial: CandidateTrial) -> int:
    """Guardrails, the metric, KPIs and a limit to disagreement: fixed by the rules, not by the data."""
    kpis = 0 if trial.paired else len(rules.kpis)
    return 4 + kpis + (rules.disagreement is not None and trial.paired)


def _decided(parts: Sequence[JudgedPart], main: JudgedSeries | None) -> tuple[Phase, str]:
    """The state, and one sentence that says why."""
    failed = [part for part in parts if part.phase is Phase.FAILED]
    blocked = [part for part in parts if part.phase is not Phase.SUCCESSFUL and part.part in _RATIO_BLOCKS]
    # Too few units for a pass are enough for a guardrail; nothing else fails on them, or on arms that are not alike.
    hard = [part for part in failed if part.part == "guardrail" or not blocked]
    if hard:
        return Phase.FAILED, hard[0].reason
    waiting = [part for part in parts if part.phase is not Phase.SUCCESSFUL]
    if not waiting:
        return Phase.SUCCESSFUL, main.part.reason if main else parts[-1].reason
    first = blocked[0] if blocked else waiting[0]
    if main and main.part in waiting and not blocked:
        first = main.part
    needed = [part.needed for part in waiting if part.needed]
    longest = max(needed, key=lambda one: (one.days or 0.0, one.units), default=None)
    return Phase.INCONCLUSIVE, f"{first.reason} (still needed: {longest})" if longest else first.reason


def _expiring(found: Evaluation, trial: CandidateTrial) -> Evaluation:
    if trial.at < trial.ends or found.phase is not Phase.INCONCLUSIVE:
        return found
    days = trial.rules.maximum.total_seconds() / 86_400
    step = replace(found.step, ready=False)
    return replace(found, reason=f"expired undecided after {days:g} days: {found.reason}", step=step)


def _step(
    trial: CandidateTrial,
    units: Sequence[ArmUnits],
    begun: Evaluation,
    parts: Sequence[JudgedPart],
    epochs: Sequence[WeightEpoch],
) -> WeightStep:
    """Ready: guardrails and shares are right, and this weight has seen the minimum of units and time itself."""
    if trial.mode != "split":
        return begun.step
    right = all(part.phase is Phase.SUCCESSFUL for part in (*begun.parts, *parts))
    here = [number for number, epoch in enumerate(epochs) if epoch.weight == trial.weight]
    if not right or not here:
        return begun.step
    seen = min(arm.count(here) for arm in units) >= trial.rules.units
    long = begun.until - min(epochs[number].since for number in here) >= min(trial.rules.time, timedelta(days=1))
    return replace(begun.step, ready=seen and long)


def _notes(trial: CandidateTrial, rows: TrialRows) -> list[str]:
    every = [table.named for table in rows.arms]
    unnamed = sum(int((~named).sum()) for named in every)
    whole = sum(len(named) for named in every)
    found = []
    if whole and unnamed:
        told = "Requests name no units" if unnamed == whole else f"{unnamed / whole:.0%} of the rows name no unit"
        found.append(f"{told}: each such request is a unit of its own.")
    if rows.asked:
        why = "their caller chose the version, or the champion answered in a canary's place"
        found.append(f"{rows.asked:,} rows are left out: {why}.")
    if rows.parts > 1:
        found.append(f"One unit of {rows.parts} was counted, evenly.")
    if trial.paired and trial.rules.depend_on_answers:
        found.append("Labels depend on answers: judged where the champion's answer let one come.")
    return found
