"""What judges a candidate of main: for the job of looks, and on a laptop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gitml import clock
from gitml.cijobs.canarydue import WatchedCandidate, candidates_of, slot
from gitml.cijobs.canarylooking import Judge
from gitml.control.mainline import Mainline
from gitml.errors import InconclusiveError, UsageError
from gitml.git.commands import Git
from gitml.inference.candidate import CandidateOrder, TrialPlace, judged_candidate
from gitml.rollout.evaluation import Evaluation
from gitml.spec.canary import CanaryMetric


@dataclass(frozen=True)
class CanaryCall:
    """``models``: all, if none is named. ``at``: as main and the traffic were then; the last moment of the schedule if
    it is None."""

    models: tuple[str, ...] = ()
    environment: str = ""
    at: datetime | None = None


def judging(main: Mainline, place: TrialPlace) -> Judge:
    """As the job of looks calls it: at moments of the schedule."""

    def judge(watched: WatchedCandidate, at: datetime) -> Mapping[str, Any]:
        return judged_candidate(main, order_of(watched, at), place).to_dict()

    return judge


def order_of(watched: WatchedCandidate, at: datetime) -> CandidateOrder:
    """What is asked of the judgement for a candidate that main has."""
    one = watched.one
    return CandidateOrder(
        one.model,
        one.environment,
        "split" if one.part == "canary" else "shadow",
        one.pin,
        one.state.champion,
        one.weight,
        one.rules,
        one.digest,
        watched.together,
        watched.since,
        at,
        scheduled=slot(one.rules.every, at) == at,
    )


@dataclass(frozen=True)
class ExperimentOrder:
    """``kpi``: '' for the one that policy.yaml names. ``margin``: None where the candidate must be better."""

    kpi: str = ""
    margin: float | None = None


def canary(place: TrialPlace, call: CanaryCall) -> tuple[Evaluation, ...]:
    """Every candidate beside a champion, by what the last commit pins.

    Raises UsageError for a model that is not there, InconclusiveError where there is no candidate, or a shallow clone.
    """
    main, orders = _orders(place, call)
    return tuple(judged_candidate(main, order, place) for order in orders)


def experiment(place: TrialPlace, call: CanaryCall, wanted: ExperimentOrder) -> tuple[Evaluation, ...]:
    """Split traffic by a KPI. Raises as ``canary``, and UsageError where no KPI is named, or a margin that is none."""
    if wanted.margin is not None and not 0 <= wanted.margin < math.inf:
        raise UsageError(f"{wanted.margin:g} is no margin", "it is how much worse the KPI may be, such as 0.2")
    main, orders = _orders(place, call)
    split = [order for order in orders if order.mode == "split"]
    if not split:
        raise InconclusiveError("no traffic is split there", "gitml promote VERSION --as canary")
    return tuple(judged_candidate(main, _by_kpi(order, wanted), place) for order in split)


def _by_kpi(order: CandidateOrder, wanted: ExperimentOrder) -> CandidateOrder:
    rules = order.rules
    kpi = wanted.kpi or rules.metric.kpi or next(iter(rules.kpis), "")
    if not kpi:
        raise UsageError("an experiment is judged by a KPI", "name one of `kpis` in gitml.yaml with --kpi")
    goal = rules.kpis.get(kpi) or (rules.metric if rules.metric.kpi == kpi else None)
    margin = wanted.margin if wanted.kpi else goal.margin if goal else None
    metric = CanaryMetric(kpi=kpi, margin=margin, goal="better" if margin is None else None)
    others = {name: one for name, one in rules.kpis.items() if name != kpi}
    # Its own rules: the digest is no more that of main's.
    return replace(order, rules=rules.model_copy(update={"metric": metric, "kpis": others}), digest="")


def _orders(place: TrialPlace, call: CanaryCall) -> tuple[Mainline, list[CandidateOrder]]:
    git = Git(place.root)
    if git.is_shallow():
        raise InconclusiveError("this clone is shallow: when a candidate came is not here", "git fetch --unshallow")
    now = clock.now().replace(microsecond=0)
    if call.at and call.at > now:
        raise UsageError(f"{call.at:%Y-%m-%d %H:%M} UTC is in the future", "nothing is known of it yet")
    main = main_at(git, call.at)
    return main, [order_of(one, call.at or slot(one.one.rules.every, now)) for one in _wanted(main, call)]


def main_at(git: Git, at: datetime | None) -> Mainline:
    """The last commit that is here, or the one of that moment."""
    words = ("rev-list", "-1", "--first-parent", *([f"--before={at:%Y-%m-%dT%H:%M:%SZ}"] if at else []), "HEAD")
    commit = git.text(*words).strip()
    if not commit:
        raise InconclusiveError("the history does not reach back so far", "name a later moment with --at")
    return Mainline(git, commit)


def _wanted(main: Mainline, call: CanaryCall) -> Iterator[WatchedCandidate]:
    app, policy = main.application(), main.policy()
    unknown = [name for name in call.models if name not in app.models]
    if unknown:
        raise UsageError(f"there is no model {unknown[0]}", f"gitml.yaml has {', '.join(app.models)}")
    if call.environment and call.environment not in policy.environments:
        known = ", ".join(policy.environments) or "none"
        raise UsageError(f"there is no environment {call.environment}", f"policy.yaml has {known}")
    found = [
        one
        for one in candidates_of(main, app, policy)
        if (not call.models or one.one.model in call.models) and call.environment in ("", one.one.environment)
    ]
    if not found:
        hint = "a candidate is canary or shadow in models/MODEL/ENVIRONMENT.yaml: gitml promote VERSION --as canary"
        if not policy.judges_candidates:
            hint = "policy.yaml asks nothing of candidates: add `canary: {}` to an environment"
        raise InconclusiveError("no candidate stands beside a champion", hint)
    yield from found
