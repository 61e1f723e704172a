"""What is judged: a candidate beside a champion, the rules, and where the traffic comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from gitml.jsontext import canonical, plain
from gitml.models.fields import Field
from gitml.rollout.evaluation import Contender, Mode
from gitml.spec.kpis import Kpi
from gitml.traffic.marks import Completeness
from gitml.traffic.reader import Window


@dataclass(frozen=True)
class KpiRule:
    """``margin``: how much worse than the champion's the mean of a unit may be; None where it must be better."""

    name: str
    spec: Kpi
    margin: float | None


@dataclass(frozen=True)
class DecisionCosts:
    """What a wrong decision costs, and from which answer on ``champion`` and ``candidate`` act: each at the threshold
    that its own record holds, None where that holds none."""

    false_negative: float
    false_positive: float
    champion: float | None
    candidate: float | None

    @property
    def thresholds(self) -> tuple[float | None, float | None]:
        return self.champion, self.candidate


@dataclass(frozen=True)
class TrialRules:
    """All that decides a test, and nothing else: not the weight, not who is told.

    ``metric`` is '' where nothing is judged on labels, ``margin`` None where the candidate must be better. ``kpi`` is
    primary in place of the metric. ``cost``: where the metric is what decisions cost. ``clusters``: what is one draw
    beside a unit. Shares are from 0 to 1;
    ``slow_ms`` is None where the champion's own latency says what is slow.
    """

    metric: str = ""
    margin: float | None = None
    kpi: KpiRule | None = None
    kpis: tuple[KpiRule, ...] = ()
    cost: DecisionCosts | None = None
    errors: float = 0.01
    slow: float = 0.01
    slow_ms: float | None = None
    missing: float = 0.01
    disagreement: float | None = None
    units: int = 200
    events: int = 20
    time: timedelta = timedelta(days=1)
    maximum: timedelta = timedelta(days=30)
    labels_within: timedelta = timedelta(days=1)
    coverage: float = 0.05
    depend_on_answers: bool = False
    error_rate: float = 0.05
    clusters: Literal["day"] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal."""
        told = {field.name: _told(getattr(self, field.name)) for field in fields(self)}
        if self.clusters is None:  # rules that were there before it stay the same ones
            del told["clusters"]
        return hashlib.sha256(canonical(told)).hexdigest()


def _told(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_told(one) for one in value]
    if isinstance(value, DecisionCosts):
        return plain(asdict(value))
    if isinstance(value, KpiRule):
        return {"name": value.name, "margin": value.margin, **value.spec.by_unit}
    return plain(value)


@dataclass(frozen=True)
class CandidateTrial:
    """``since``: main first had both beside each other under these rules. ``weight``: percent that the candidate is
    drawn for now, and ``steps`` of it. ``every``: how far looks are apart. ``output``: the model's first output.
    ``notes``: what a reader should know of how the trial came about. ``told_rules``: the digest that main's files give
    the rules, where they come from there."""

    model: str
    environment: str
    mode: Mode
    candidate: Contender
    champion: Contender
    rules: TrialRules
    output: Field
    since: datetime
    at: datetime
    weight: float = 0.0
    steps: tuple[float, ...] = ()
    every: timedelta = timedelta(hours=1)
    scheduled: bool = False
    notes: tuple[str, ...] = ()
    told_rules: str = ""

    @property
    def digest(self) -> str:
        """What an evaluation calls its rules."""
        return self.told_rules or self.rules.digest

    @property
    def ends(self) -> datetime:
        """The moment at which it expires."""
        return self.since + self.rules.maximum

    @property
    def paired(self) -> bool:
        """Whether both answered the same requests."""
        return self.mode != "split"

    @property
    def next_step(self) -> float | Literal["champion"] | None:
        if self.mode != "split":
            return None
        return next((step for step in self.steps if step > self.weight), "champion")


@dataclass(frozen=True)
class TrialTraffic:
    """Where rows come from. ``requests``: a window and columns → batches as ``traffic.reader.requests`` gives them, in
    an order of their own; ``events``: business events of a window; ``facts``: those of a KPI that is made of something
    else, of a window at least, as batches of `unit`, `time` (UTC) and `value`; ``complete``: how far a window is
    complete, None where that is not asked."""

    requests: Callable[[Window, Sequence[str]], Iterator[Any]]
    events: Callable[[Window], Iterator[Any]]
    facts: Callable[[KpiRule, Window], Iterator[Any]]
    complete: Callable[[datetime, datetime], Completeness | None]
