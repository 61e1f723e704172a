"""Gate ``champion``: not worse than what answers there now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gitml.fields import FileSection, Flag, MetricName, Number
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown, Version
from gitml.gates.samerows import difference_on_same_rows
from gitml.gates.verdicts import failed, number, passed, shown, together, unclear
from gitml.stats.comparison import Difference, Estimate, difference
from gitml.verdict import Verdict


class Margin(FileSection):
    """How much worse than the champion is still good enough."""

    margin: Annotated[Number, Field(ge=0)] = Field(
        description="In the metric's own unit; the interval of the paired difference must lie above it."
    )
    same_rows: Flag = Field(
        False, description="Judge only signed evidence `compared`: both versions on the same held-out rows."
    )


KEY = Annotated[Mapping[MetricName, Margin], Field(min_length=1)]
MEANING = "Not worse than what runs there now by more than a margin."
ADVICE = Advice(
    SCIENTIST,
    "train a version that is not worse than what runs",
    "evaluate on more data, so that the interval is narrower than the margin; where evidence `compared` is missing, "
    "wait for main's job `verify`",
)


def judge(facts: Facts, wanted: Mapping[str, Margin]) -> Verdict:
    """Each metric named is not worse than the running champion's by more than the margin.

        champion:
          auc: {margin: 0.01}
          cost_per_flight: {margin: 0.2, same_rows: true}

    Judged is the 95 % interval of the difference, not the difference: successful if all of it is better than the
    margin allows, failed if all of it is worse, inconclusive if the margin lies inside: then the data cannot tell, and
    more of it, or a wider margin, is needed. The interval is paired where both versions kept replicates of the same
    rows and seed. Else, where a job of main let both answer the new version's held-out rows (signed evidence `compared`
    on exactly these two, under `holdout` of gitml.yaml as it is now), it is the one that was found there; else the
    wider one of independent estimates, which a version passes whose own rows were easier. With `same_rows: true` there
    must be such evidence, and nothing else counts. Without any interval there is nothing to judge on.
    Refits with other seeds do not widen it: judged are these two models, not the change that made one of them.
    Which direction is better, gitml.yaml says under ``better``. Where no champion runs, there is nothing to be worse
    than: successful.
    """
    champion = facts.champion
    if champion is None:
        return passed(f"nothing answers in {facts.environment} yet, so there is nothing to be worse than")
    if isinstance(champion, Unknown):
        return unclear(f"the running champion is not known: {champion.reason}")
    if champion.model != facts.candidate.model:
        return unclear(f"the champion is one of the model {champion.model}")
    same = (champion.version, champion.artifact) == (facts.candidate.version, facts.candidate.artifact)
    if same:
        return passed("it is what answers there now")
    parts = [_judge(name, margin, facts, champion) for name, margin in wanted.items()]
    return together(parts, f"not worse than {champion.short} by more than the margins")


def needs(wanted: Mapping[str, Margin]) -> tuple[Need, ...]:
    directions = (Need("better", name, at=(name,)) for name in wanted)
    same = [name for name, margin in wanted.items() if margin.same_rows]
    alone = [Need("replicates")] if len(same) < len(wanted) else []
    held = [Need("holdout", at=(same[0],)), Need("evidence", "compared")] if same else []
    return (*directions, *alone, *held)


def _judge(name: str, wanted: Margin, facts: Facts, champion: Version) -> Verdict:
    candidate = facts.candidate
    direction = candidate.better.get(name)
    if direction not in ("higher", "lower"):
        return unclear(f"gitml.yaml does not say whether {name} is better higher or lower")
    paired = bool(candidate.resamples) and candidate.resamples == champion.resamples
    if wanted.same_rows or not paired:
        told = difference_on_same_rows(facts, champion, name)
        if not isinstance(told, Unknown):
            return _by_interval(told, wanted.margin, direction)
        if wanted.same_rows:
            return unclear(told.reason)
    return _by_replicates(name, wanted.margin, candidate, champion)


def _by_replicates(name: str, margin: float, candidate: Version, champion: Version) -> Verdict:
    direction = candidate.better[name]
    new, old = _estimate(name, candidate), _estimate(name, champion)
    if isinstance(new, Unknown) or isinstance(old, Unknown):
        return unclear(_gap(new, old))
    paired = bool(candidate.resamples) and candidate.resamples == champion.resamples
    found = difference(name, new, old, better=direction, paired=paired)
    low, high = number(found.low), number(found.high)
    if low is None or high is None or number(found.value) is None:
        return unclear(f"{name} has no interval to judge the difference on")
    if not low <= new.value - old.value <= high:
        return unclear(f"the replicates of {name} do not belong to its values")
    return _by_interval(found, margin, direction)


def _by_interval(found: Difference, margin: float, direction: str) -> Verdict:
    low, high = found.low or 0.0, found.high or 0.0
    worst, best = (low, high) if direction == "higher" else (-high, -low)
    return _compared(found, margin, worst, best)


def _gap(new: Estimate | Unknown, old: Estimate | Unknown) -> str:
    return "; ".join(side.reason for side in (new, old) if isinstance(side, Unknown))


def _estimate(name: str, version: Version) -> Estimate | Unknown:
    if isinstance(version.metrics, Unknown):
        return version.metrics
    found = version.metrics.get(name)
    if found is None or number(found.value) is None:
        return Unknown(f"{name} of {version.short} is {'missing' if found is None else 'no finite number'}")
    return found


def _compared(found: Difference, margin: float, worst: float, best: float) -> Verdict:
    how = "paired" if found.paired else "unpaired"
    interval = f"{shown(found.low or 0.0)} to {shown(found.high or 0.0)}, {how}"
    told = f"{found.metric} differs by {shown(found.value or 0.0)} ({interval})"
    measured = {
        found.metric: found.new,
        f"{found.metric} of the champion": found.old,
        f"{found.metric} difference": found.value,
        f"{found.metric} interval": [found.low, found.high],
    }
    if worst >= -margin:
        return passed(told, measured)
    if best < -margin:
        return failed(f"{told}: worse by more than {shown(margin)}", measured)
    return unclear(f"{told}: it may be worse by more than {shown(margin)}, the data cannot tell", measured)
